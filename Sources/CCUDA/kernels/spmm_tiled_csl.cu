// Weights in Flash-LLM's Tiled-CSL (arXiv:2309.10285, section 4): tiles of 128 rows x 64 columns, a 32-bit word for
// each nonzero, value | position << 16, position = r * 64 + (c ^ ((r % 8) << 3)).
//
// A block's rows and columns of a step are one tile. Its threads scatter the words into shared memory, whose layout the
// position is, and each warp takes its 16 rows from there. Both overlaps of the paper are there: while tensor cores
// work on a tile, the next one's words are scattered, from registers, and those of the one after it are loaded.
//
// weights[0]: the words, u32, in vectors of four
// weights[1]: i32 [tiles + 2]: where each tile begins, in vectors
#include "product.cuh"

using namespace gpu;

namespace {

struct TiledCSL {
    static constexpr u32 block_rows = FLASH_GPU_BLOCK_THREADS / warp_lanes * FLASH_GPU_PANEL_ROWS;
    static constexpr u32 tile_bytes = 2 * block_rows * FLASH_GPU_STEP_COLUMNS;
    static constexpr u32 row_bytes = 2 * FLASH_GPU_STEP_COLUMNS;
    // Two tiles, a warp's share of them: its own rows of both, but other warps write them, too.
    static constexpr int panels = 1;
    static constexpr int stages = FLASH_GPU_STAGES;
    static constexpr bool by_rows = false;
    static constexpr bool is_shared = true;
    static constexpr int chunk_bytes = FLASH_GPU_CHUNK_BYTES;
    static constexpr u32 warp_bytes = FLASH_GPU_TILED_CSL_WARP_BYTES;
    static_assert(warp_bytes * (FLASH_GPU_BLOCK_THREADS / warp_lanes) == 2 * tile_bytes);
    // Vectors of a thread that are loaded ahead: those of a tile at half density.
    static constexpr int ahead = 4;

    const Words4 *words;
    const int *offsets;
    u32 begin, count;  // vectors of the loaded tile
    u32 steps_left;
    Shared tiles;
    u32 turn;  // which tile is read next
    Words4 loaded[ahead];

    GPU_FUNCTION TiledCSL(const flash_gpu_product &product, const Work &work, const Piece &piece, u32, Shared own) {
        words = reinterpret_cast<const Words4 *>(product.weights[0]);
        const u64 tile = u64(piece.row_block) * work.all_steps + piece.first_step;
        offsets = reinterpret_cast<const int *>(product.weights[1]) + tile;
        steps_left = piece.steps;
        tiles = own - warp() * warp_bytes;
        turn = 0;
        for (u32 offset = thread() * 16; offset < 2 * tile_bytes; offset += FLASH_GPU_BLOCK_THREADS * 16) {
            store_shared(tiles + offset, Words4{0, 0, 0, 0});
        }
        load_tile();
        block_barrier();
        scatter_tile(tiles);
        load_tile();
    }

    GPU_FUNCTION void start(const Piece &) {}

    GPU_FUNCTION void fetch(u32) {}

    GPU_FUNCTION void load_tile() {
        count = 0;
        if (steps_left == 0) return;
        steps_left -= 1;
        begin = load(offsets);
        count = load(offsets + 1) - begin;
        offsets += 1;
#pragma unroll
        for (int index = 0; index < ahead; index++) {
            const u32 vector = thread() + index * FLASH_GPU_BLOCK_THREADS;
            if (vector < count) loaded[index] = load_streaming(words + begin + vector);
        }
    }

    GPU_FUNCTION static void scatter(Shared tile, u32 word) {
        // A position is below 8192.
        store_shared(tile + (word >> 15 & 0x3ffe), static_cast<u16>(word));
    }
    GPU_FUNCTION static void scatter(Shared tile, const Words4 &vector) {
        scatter(tile, vector.x);
        scatter(tile, vector.y);
        scatter(tile, vector.z);
        scatter(tile, vector.w);
    }

    GPU_FUNCTION void scatter_tile(Shared tile) const {
#pragma unroll
        for (int index = 0; index < ahead; index++) {
            if (thread() + index * FLASH_GPU_BLOCK_THREADS < count) scatter(tile, loaded[index]);
        }
        for (u32 vector = thread() + ahead * FLASH_GPU_BLOCK_THREADS; vector < count;
             vector += FLASH_GPU_BLOCK_THREADS) {
            scatter(tile, load_streaming(words + begin + vector));
        }
    }

    GPU_FUNCTION void prepare(u32) {}

    // The barrier at the beginning of a step shows all of this step's tile, which was scattered a step ago, and tells
    // that the other tile, which was read a step ago, has been cleared.
    GPU_FUNCTION void take(u32, int, int half, u32 (&fragments)[2][4]) {
        const u32 row = warp() * FLASH_GPU_PANEL_ROWS + lane() % 16;
#pragma unroll
        for (int index = 0; index < 2; index++) {
            const u32 chunk = (4 * half + 2 * index + lane() / 16) ^ row % 8;
            load_matrices(fragments[index], tiles + turn * tile_bytes + row * row_bytes + chunk * 16);
        }
    }

    GPU_FUNCTION void release(u32) {
        warp_barrier();
        const Shared rows =
            tiles + turn * tile_bytes + warp() * FLASH_GPU_PANEL_ROWS * row_bytes + lane() * 16;
#pragma unroll
        for (int index = 0; index < 4; index++) store_shared(rows + index * 16 * warp_lanes, Words4{0, 0, 0, 0});
        turn ^= 1;
        scatter_tile(tiles + turn * tile_bytes);
        load_tile();
    }
};

}  // namespace

#define KERNEL(type, Element, tokens, slices) \
    GPU_PRODUCT_KERNEL(spmm_tiled_csl_##type##_##tokens##_##slices, tokens > 32 ? 1 : 2) { \
        multiply<TiledCSL, Element, tokens, slices>(parameters); \
    }
#define KERNELS(tokens, slices) KERNEL(f16, F16, tokens, slices) KERNEL(bf16, BF16, tokens, slices)
#define SLICED
#define EXPANSION \
    GPU_EXPANSION_KERNEL(expand_tiled_csl) { expand<TiledCSL>(parameters); }

GPU_PRODUCT_INSTANCES
