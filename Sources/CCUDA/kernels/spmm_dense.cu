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
    static constexpr bool is_shared = false;
    static constexpr u32 warp_bytes = FLASH_GPU_DENSE_WARP_BYTES;
    static_assert(warp_bytes == stages * stage_bytes);

    const u16 *elements;
    u32 rows, columns, stride;
    u32 first_row;
    Shared shared;

    GPU_FUNCTION Dense(const flash_gpu_product &product, u32 panel, Shared own) {
        elements = reinterpret_cast<const u16 *>(product.weights[0]);
        rows = product.rows;
        columns = product.columns;
        stride = (columns + 7) / 8 * 8;
        first_row = panel * FLASH_GPU_PANEL_ROWS;
        shared = own;
    }

    GPU_FUNCTION void fetch(u32 step, u32 stage) {
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const u32 row = index * 4 + lane() / 8;
            const u32 column = step * FLASH_GPU_STEP_COLUMNS + lane() % 8 * 8;
            const bool valid = first_row + row < rows && column < columns;
            const u64 offset = valid ? u64(first_row + row) * stride + column : 0;
            copy_async_16_or_zero(shared + stage * stage_bytes + row * row_bytes + ((lane() % 8 ^ row % 8) << 4),
                                  elements + offset, valid);
        }
    }

    GPU_FUNCTION void expand(u32, u32 stage, u32 (&fragments)[4][4]) {
        const u32 row = lane() % 16;
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const u32 chunk = (2 * index + lane() / 16) ^ row % 8;
            load_matrices(fragments[index], shared + stage * stage_bytes + row * row_bytes + chunk * 16);
        }
    }
};

}  // namespace

#define KERNEL(type, Element, tokens)                                                               \
    GPU_KERNEL(spmm_dense_##type##_##tokens, FLASH_GPU_BLOCK_THREADS, flash_gpu_product) {          \
        multiply<Dense, Element, tokens>(parameters);                                               \
    }
#define KERNELS(tokens) KERNEL(f16, F16, tokens) KERNEL(bf16, BF16, tokens)

// The host compiles the one kernel that it needs.
#ifdef FLASH_GPU_INSTANCE
FLASH_GPU_INSTANCE
#else
KERNELS(8)
KERNELS(16)
KERNELS(32)
KERNELS(64)
#endif
