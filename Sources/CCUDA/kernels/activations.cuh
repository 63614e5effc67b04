// Activations in shared memory: what all warps of a block multiply their weights with.
#pragma once

#include "gpu.cuh"
#include "gpu_parameters.h"

namespace gpu {

// The activations of a block's tokens, chunk by chunk: `steps` steps of 64 columns each, which `slices` slices of the
// columns have in turn. A chunk is [steps, tokens, 64] of 16 bits. A token's row of a step is 128 bytes, eight pieces
// of 16; piece c of token t lies at place c ^ swizzle(t): what eight lanes read at once is on different banks, be it
// one piece of eight rows, or four pieces of two.
//
// There is room for two chunks. Warps meet once for a chunk, not for a step: one has more to expand in a step, another
// less, and over a chunk the difference evens out. A thread copies the same pieces of every chunk, so that their
// addresses only move on.
//
// Fragments are those of `mma.m16n8k16` as they are defined, or, with `by_rows`, of columns in another order: lane l
// has columns 8 * (l % 4) ... + 7 of 32, two for each operand of two multiplications. Then weights, which must have
// that order, too, may lie in runs of eight columns.
template <int tokens, int steps, int slices, bool by_rows>
class Activations {
    static constexpr u32 row_bytes = FLASH_GPU_ACTIVATION_BYTES;
    static constexpr u32 step_pieces = tokens * 8;
    static constexpr u32 threads = FLASH_GPU_BLOCK_THREADS;

public:
    // Of a slice.
    static constexpr int chunk_steps = steps / slices;

private:
    // Pieces of a chunk that a thread copies.
    static constexpr int thread_pieces = steps * step_pieces / threads;
    static_assert(thread_pieces >= 1 && steps * step_pieces % threads == 0, "a chunk is a few pieces for each");
    static_assert(steps % slices == 0, "slices have as many steps of a chunk");

    const u16 *input;
    u64 next;          // elements from `input` to this thread's first piece of the next chunk
    u32 row_distance;  // elements between the rows of this thread's pieces, if there are several rows
    u32 slice_columns; // from slice to slice
    i32 columns_left;  // from that piece on; 0 and below: nothing
    u32 valid;         // bit i: piece i's token is there
    Shared chunks;
    u32 copy_offset;   // of this thread's first piece in a chunk
    Shared reads[2];   // what this lane reads of the first chunk's first step, by halves of its columns

    GPU_FUNCTION static u32 swizzle(u32 row) { return row % 2 * 4 + row / 2 % 4; }

    // Pieces of a thread go through the rows of a step, then through the steps.
    GPU_FUNCTION static constexpr u32 row_of(int piece) { return piece * threads / 8 % tokens; }
    GPU_FUNCTION static constexpr u32 step_of(int piece) { return piece * threads / step_pieces; }
    // How far a step of the chunk is from column 0 of its first slice.
    GPU_FUNCTION u32 column_of(u32 step) const {
        return step / slices * FLASH_GPU_STEP_COLUMNS + (slices == 1 ? 0 : step % slices * slice_columns);
    }

    static constexpr u32 slot_bytes = tokens * row_bytes;

public:
    // From a step of a slice to the next.
    static constexpr u32 step_bytes = slices * slot_bytes;
    static constexpr u32 chunk_bytes = steps * slot_bytes;

    // Slice i of the columns begins at `column` + i * `slice_columns`, multiples of 64; this warp reads slice `slice`.
    // The chunks lie behind each other from `shared` on.
    GPU_FUNCTION Activations(
        const flash_gpu_product &product, u32 column, u32 slice_columns, u32 slice, Shared shared)
        : slice_columns(slice_columns), chunks(shared) {
        const u32 piece = thread() % 8;
        const u32 row = thread() / 8 % tokens;
        const u32 step = thread() / step_pieces;
        const u32 first_column = column + column_of(step) + piece * 8;
        columns_left = static_cast<i32>(product.columns) - static_cast<i32>(first_column);
        input = reinterpret_cast<const u16 *>(product.input);
        next = u64(block_y() * tokens + row) * product.input_stride + first_column;
        row_distance = product.input_stride;
        valid = 0;
#pragma unroll
        for (int index = 0; index < thread_pieces; index++) {
            valid |= u32(block_y() * tokens + row + row_of(index) < product.tokens) << index;
        }
        copy_offset = step * slot_bytes + row * row_bytes + ((piece ^ swizzle(row)) << 4);
        const u32 own_row = by_rows ? lane() / 4 : lane() % 8;
        const u32 own_piece = by_rows ? lane() % 4 : lane() / 8;
        const u32 read = own_row * row_bytes + ((own_piece ^ swizzle(own_row)) << 4);
        const Shared own = chunks + (slices == 1 ? 0 : slice * slot_bytes);
        reads[0] = keep(own + read);
        reads[1] = keep(own + (read ^ 64));
    }

    // Starts to copy the next chunk to place `place`, 0 or 1. All threads take part. Tokens and columns beyond the last
    // are zero.
    GPU_FUNCTION void fetch(u32 place) {
#pragma unroll
        for (int index = 0; index < thread_pieces; index++) {
            const u32 row = row_of(index), step = step_of(index), column = column_of(step);
            const bool is_there = (valid >> index & 1) != 0 && columns_left > static_cast<i32>(column);
            const u64 from = next + u64(row) * row_distance + column;
            copy_async_16_or_zero(
                chunks + place * chunk_bytes + copy_offset + step * slot_bytes + row * row_bytes,
                input + (is_there ? from : 0), is_there);
        }
        next += chunk_steps * FLASH_GPU_STEP_COLUMNS;
        columns_left -= chunk_steps * FLASH_GPU_STEP_COLUMNS;
    }

    // The fragments of tokens 8 * group ... for columns 32 * half ... of the step that begins `offset` bytes behind the
    // first one: two for each of two multiplications.
    GPU_FUNCTION void load(u32 (&words)[4], u32 offset, int group, int half) const {
        const Shared from = reads[half] + offset + group * 8 * row_bytes;
        if constexpr (by_rows) {
            const Words4 run = load_shared<Words4>(from);
            words[0] = run.x, words[1] = run.y, words[2] = run.z, words[3] = run.w;
        } else {
            load_matrices(words, from);
        }
    }
};

}  // namespace gpu
