// Activations in shared memory: what all warps of a block multiply their weights with.
#pragma once

#include "gpu.cuh"
#include "gpu_parameters.h"

namespace gpu {

// The activations of a block's tokens, step by step: a stage holds those of one step, [tokens, 64] of 16 bits. A
// token's row is 128 bytes, eight chunks of 16; chunk c of token t lies at place c ^ (t % 8), so that the eight rows
// which one phase of load_matrices reads are on different banks.
//
// A thread copies the same chunks of every step, so that their addresses only move on: the loop around a tile of
// weights has room for some hundred instructions, and working these out anew took thirty.
template <int tokens>
class Activations {
    static constexpr u32 row_bytes = FLASH_GPU_ACTIVATION_BYTES;
    static constexpr u32 step_chunks = tokens * 8;
    // Chunks of a step that a thread copies.
    static constexpr int thread_chunks = (step_chunks + FLASH_GPU_BLOCK_THREADS - 1) / FLASH_GPU_BLOCK_THREADS;
    static constexpr u32 chunk_rows = FLASH_GPU_BLOCK_THREADS / 8;

    const u16 *next[thread_chunks];  // what this thread copies in the next step
    u32 columns_left;                // from the next step's chunk on; 0 and below: nothing
    u32 valid;                       // bit i: chunk i's token is there
    Shared stages;
    u32 copy_offset;      // of this thread's first chunk in a stage
    u32 load_offsets[2];  // of this lane's rows for columns 0-31 and 32-63 of a stage

public:
    static constexpr u32 stage_bytes = tokens * row_bytes;

    // Begins at column `column`, a multiple of 64; the stages lie behind each other from `shared` on.
    GPU_FUNCTION Activations(const flash_gpu_product &product, u32 column, Shared shared) : stages(shared) {
        const u32 chunk = thread() % 8;
        const u32 row = thread() / 8;
        const u32 first_column = column + chunk * 8;
        columns_left = first_column < product.columns ? product.columns - first_column : 0;
        valid = 0;
        const u16 *input = reinterpret_cast<const u16 *>(product.input);
#pragma unroll
        for (int index = 0; index < thread_chunks; index++) {
            const u32 token = block_y() * tokens + row + index * chunk_rows;
            const bool is_there = token < product.tokens && row + index * chunk_rows < tokens;
            valid |= u32(is_there) << index;
            next[index] = input + (is_there && columns_left > 0 ? u64(token) * product.input_stride + first_column : 0);
        }
        copy_offset = row * row_bytes + ((chunk ^ row % 8) << 4);
        const u32 own_row = lane() % 8;
        load_offsets[0] = own_row * row_bytes + ((lane() / 8 ^ own_row) << 4);
        load_offsets[1] = own_row * row_bytes + ((4 + lane() / 8 ^ own_row) << 4);
    }

    // Starts to copy the next step's columns to `stage`. All threads take part. Tokens and columns beyond the last are
    // zero.
    GPU_FUNCTION void fetch(u32 stage) {
#pragma unroll
        for (int index = 0; index < thread_chunks; index++) {
            if (step_chunks % FLASH_GPU_BLOCK_THREADS != 0 && thread() >= step_chunks) break;
            const bool is_there = (valid >> index & 1) != 0 && columns_left > 0;
            copy_async_16_or_zero(
                stages + stage * stage_bytes + copy_offset + index * chunk_rows * row_bytes, next[index], is_there);
            if (columns_left > FLASH_GPU_STEP_COLUMNS) next[index] += FLASH_GPU_STEP_COLUMNS;
        }
        columns_left = columns_left > FLASH_GPU_STEP_COLUMNS ? columns_left - FLASH_GPU_STEP_COLUMNS : 0;
    }

    // The fragments of tokens 8 * group ... for columns 32 * half ... of a step: two for each of two multiplications.
    GPU_FUNCTION void load(u32 (&words)[4], u32 stage, int group, int half) const {
        load_matrices(words, stages + stage * stage_bytes + load_offsets[half] + group * 8 * row_bytes);
    }
};

}  // namespace gpu
