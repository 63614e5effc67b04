// Activations in shared memory: what all warps of a block multiply their weights with.
#pragma once

#include "gpu.cuh"
#include "gpu_parameters.h"

namespace gpu {

// One step's activations, [tokens, 64] of 16 bits. A token's row is 128 bytes, eight chunks of 16; chunk c of token t
// lies at place c ^ (t % 8), so that the eight rows which one phase of load_matrices reads are on different banks.
template <int tokens>
struct Activations {
    static constexpr u32 row_bytes = FLASH_GPU_ACTIVATION_BYTES;
    static constexpr u32 stage_bytes = tokens * row_bytes;

    // Starts to copy columns 64 * step ... of the block's tokens to `stage`. All threads take part. Tokens and columns
    // beyond the last are zero.
    GPU_FUNCTION static void fetch(const flash_gpu_product &product, u32 step, Shared stage) {
        constexpr u32 chunks = tokens * 8;
        const u16 *input = reinterpret_cast<const u16 *>(product.input);
#pragma unroll
        for (u32 first = 0; first < chunks; first += FLASH_GPU_BLOCK_THREADS) {
            const u32 chunk = first + thread();
            if (chunks % FLASH_GPU_BLOCK_THREADS == 0 || chunk < chunks) {
                const u32 row = chunk / 8;
                const u32 token = block_y() * tokens + row;
                const u32 column = step * FLASH_GPU_STEP_COLUMNS + chunk % 8 * 8;
                const bool valid = token < product.tokens && column < product.columns;
                const u64 offset = valid ? u64(token) * product.input_stride + column : 0;
                copy_async_16_or_zero(stage + row * row_bytes + ((chunk % 8 ^ row % 8) << 4), input + offset, valid);
            }
        }
    }

    // The fragments of tokens 8 * group ... for columns 32 * half ... of a step: two for each of two multiplications.
    GPU_FUNCTION static void load(u32 (&words)[4], Shared stage, u32 group, u32 half) {
        const u32 row = lane() % 8;
        load_matrices(words, stage + (group * 8 + row) * row_bytes + ((half * 4 + lane() / 8 ^ row) << 4));
    }
};

}  // namespace gpu
