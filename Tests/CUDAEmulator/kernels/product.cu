// A dense product as a GPU computes it: two stages of asynchronous copies, matrix loads, tensor cores. It tests what
// the emulator does when all of that works together, and how long it takes.
#include "gpu.cuh"
#include "test_kernels.h"

using namespace gpu;

namespace {

constexpr u32 tile_rows = 64, tile_tokens = 32, tile_depth = 64, threads = 128;
constexpr u32 row_bytes = tile_depth * 2, weight_bytes = tile_rows * row_bytes, input_bytes = tile_tokens * row_bytes;
constexpr u32 stage_bytes = weight_bytes + input_bytes;

// A row is 8 pieces of 16 bytes; their order differs from row to row, so that 8 rows lie on different banks.
GPU_FUNCTION Shared piece(Shared tile, u32 row, u32 index) { return tile + row * row_bytes + ((index ^ row) & 7) * 16; }

GPU_FUNCTION void copy_tile(Shared tile, u64 from, u32 rows, u32 depth) {
    for (u32 i = thread(); i < rows * 8; i += threads) {
        const u64 source = from + (u64(i / 8) * depth + i % 8 * 8) * 2;
        copy_async_16(piece(tile, i / 8, i % 8), reinterpret_cast<const void *>(source));
    }
}

GPU_FUNCTION void copy_stage(const flash_gpu_dense_product &parameters, u32 step) {
    const Shared stage = shared_base() + step % 2 * stage_bytes;
    const u32 depth = parameters.depth, first = step * tile_depth;
    copy_tile(stage, parameters.weights + (u64(block_x() * tile_rows) * depth + first) * 2, tile_rows, depth);
    const u64 input = parameters.input + (u64(block_y() * tile_tokens) * depth + first) * 2;
    copy_tile(stage + weight_bytes, input, tile_tokens, depth);
    copy_async_commit();
}

// The warp's 16 rows by 32 tokens.
GPU_FUNCTION void multiply_stage(float (&sums)[4][4], Shared weights, Shared input) {
    for (u32 k = 0; k < tile_depth / 16; k++) {
        u32 a[4];
        load_matrices(a, piece(weights, warp() * 16 + lane() % 16, k * 2 + lane() / 16));
        for (u32 pair = 0; pair < 2; pair++) {
            u32 b[4];
            load_matrices(b, piece(input, pair * 16 + lane() % 8 + lane() / 16 * 8, k * 2 + lane() / 8 % 2));
            multiply_f16(sums[pair * 2], a, b[0], b[1]);
            multiply_f16(sums[pair * 2 + 1], a, b[2], b[3]);
        }
    }
}

}  // namespace

GPU_KERNEL(test_product, threads, flash_gpu_dense_product) {
    float sums[4][4] = {};
    const u32 steps = parameters.depth / tile_depth;
    copy_stage(parameters, 0);
    for (u32 step = 0; step < steps; step++) {
        if (step + 1 < steps) {
            copy_stage(parameters, step + 1);
            copy_async_wait<1>();
        } else {
            copy_async_wait<0>();
        }
        block_barrier();
        const Shared stage = shared_base() + step % 2 * stage_bytes;
        multiply_stage(sums, stage, stage + weight_bytes);
        block_barrier();
    }
    float *output = reinterpret_cast<float *>(parameters.output);
    const u32 row = block_x() * tile_rows + warp() * 16 + lane() / 4;
    for (u32 i = 0; i < 4; i++) {
        const u32 token = block_y() * tile_tokens + i * 8 + lane() % 4 * 2;
        float *upper = output + u64(row) * parameters.tokens + token;
        float *lower = upper + u64(8) * parameters.tokens;
        store(upper, sums[i][0]);
        store(upper + 1, sums[i][1]);
        store(lower, sums[i][2]);
        store(lower + 1, sums[i][3]);
    }
}
