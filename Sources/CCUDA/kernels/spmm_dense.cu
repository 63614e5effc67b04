// Dense weights: for matrices that are not sparse, and what the sparse formats are held against in the same loop.
//
// weights[0]: 16-bit [rows, columns rounded up to a multiple of 8], row by row
#include "product.cuh"

using namespace gpu;

namespace {

// A warp's 16 rows of a step's 64 columns in shared memory, laid out like activations: 16-byte chunk c of row r at
// place c ^ (r % 8).
struct Dense {
    static constexpr u32 row_bytes = 2 * FLASH_GPU_STEP_COLUMNS;
    static constexpr u32 stage_bytes = FLASH_GPU_PANEL_ROWS * row_bytes;
    static constexpr int panels = 1;
    static constexpr int stages = FLASH_GPU_STAGES;
    static constexpr bool by_rows = false;
    static constexpr bool is_shared = false;
    static constexpr int chunk_bytes = FLASH_GPU_CHUNK_BYTES;
    static constexpr u32 warp_bytes = FLASH_GPU_DENSE_WARP_BYTES;
    static_assert(warp_bytes == stages * stage_bytes);

    const u16 *next[4];  // what this lane copies in the next step: rows lane / 8 + 0, 4, 8, 12
    u32 columns_left;    // from the next step's chunk on
    u32 valid;           // bit i: row i is there
    Shared shared;

    GPU_FUNCTION Dense(const flash_gpu_product &product, const Work &, const Piece &piece, u32 panel, Shared own) {
        const u32 stride = (product.columns + 7) / 8 * 8;
        const u32 column = piece.first_step * FLASH_GPU_STEP_COLUMNS + lane() % 8 * 8;
        columns_left = column < product.columns ? product.columns - column : 0;
        valid = 0;
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const u32 row = panel * FLASH_GPU_PANEL_ROWS + index * 4 + lane() / 8;
            const bool is_there = row < product.rows;
            valid |= u32(is_there) << index;
            next[index] = reinterpret_cast<const u16 *>(product.weights[0])
                + (is_there && columns_left > 0 ? u64(row) * stride + column : 0);
        }
        shared = own;
    }

    GPU_FUNCTION void start(const Piece &) {}

    GPU_FUNCTION void fetch(u32 stage) {
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const u32 row = index * 4 + lane() / 8;
            copy_async_16_or_zero(
                shared + stage * stage_bytes + row * row_bytes + ((lane() % 8 ^ row % 8) << 4), next[index],
                (valid >> index & 1) != 0 && columns_left > 0);
            if (columns_left > FLASH_GPU_STEP_COLUMNS) next[index] += FLASH_GPU_STEP_COLUMNS;
        }
        columns_left = columns_left > FLASH_GPU_STEP_COLUMNS ? columns_left - FLASH_GPU_STEP_COLUMNS : 0;
    }

    GPU_FUNCTION void prepare(u32) {}
    GPU_FUNCTION void release(u32) {}

    GPU_FUNCTION void take(u32 stage, int, int half, u32 (&fragments)[2][4]) {
        const u32 row = lane() % 16;
#pragma unroll
        for (int index = 0; index < 2; index++) {
            const u32 chunk = (4 * half + 2 * index + lane() / 16) ^ row % 8;
            load_matrices(fragments[index], shared + stage * stage_bytes + row * row_bytes + chunk * 16);
        }
    }
};

}  // namespace

#define KERNEL(type, Element, tokens, slices) \
    GPU_PRODUCT_KERNEL(spmm_dense_##type##_##tokens##_##slices, tokens > 32 ? 1 : 2) { \
        multiply<Dense, Element, tokens, slices>(parameters); \
    }
#define KERNELS(tokens, slices) KERNEL(f16, F16, tokens, slices) KERNEL(bf16, BF16, tokens, slices)
#define SLICED KERNELS(8, 2) KERNELS(8, 4) KERNELS(16, 2)
#define EXPANSION

GPU_PRODUCT_INSTANCES
