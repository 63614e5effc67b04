// What becomes of a block's sums: the output, or a share of it that the last block of a row block adds up.
#pragma once

#include "arrivals.cuh"
#include "elements.cuh"
#include "gpu_parameters.h"
#include "work.cuh"

namespace gpu {

template <typename Element>
GPU_FUNCTION void store_output(const flash_gpu_product &product, u32 token, u32 row, float value) {
    const u64 index = u64(token) * product.output_stride + row;
    if (product.output_type == FLASH_GPU_OUTPUT_16_BIT) {
        store(reinterpret_cast<u16 *>(product.output) + index, static_cast<u16>(Element::pack(value, 0)));
        return;
    }
    float *output = reinterpret_cast<float *>(product.output) + index;
    // One thread has the element to itself, so adding needs no atomics, and the result is the same in every run.
    store(output, product.output_type == FLASH_GPU_OUTPUT_ADD_F32 ? load(output) + value : value);
}

// Calls `body(index, token, row)` for each sum of this lane: `index` counts them, `row` and `token` may be outside the
// matrix. `sums[p][g]` is what a warp has for panel p of its band and tokens 8 * g ... of the block, in the order of
// the tensor cores.
template <int panels, int groups, typename Body>
GPU_FUNCTION void for_each_sum(u32 band, Body body) {
#pragma unroll
    for (int index = 0; index < panels * groups * 4; index++) {
        const int panel = index / (groups * 4), group = index / 4 % groups;
        const u32 row = (band * panels + panel) * FLASH_GPU_PANEL_ROWS + lane() / 4 + index % 4 / 2 * 8;
        const u32 token = (block_y() * groups + group) * 8 + lane() % 4 * 2 + index % 2;
        body(index, token, row);
    }
}

// Writes or adds up the sums of a warp with band `band`; `flag` is a word of shared memory for this alone.
template <typename Element, int panels, int groups>
GPU_FUNCTION void finish(
    const flash_gpu_product &product, const Work &work, const Piece &piece, u32 band,
    const float (&sums)[panels][groups][4], Shared flag) {
    constexpr int lane_sums = panels * groups * 4;
    const auto write = [&](const float (&values)[lane_sums]) {
        for_each_sum<panels, groups>(band, [&](int index, u32 token, u32 row) {
            if (row < product.rows && token < product.tokens) {
                store_output<Element>(product, token, row, values[index]);
            }
        });
    };
    float values[lane_sums];
#pragma unroll
    for (int index = 0; index < lane_sums; index++) {
        values[index] = sums[index / (groups * 4)][index / 4 % groups][index % 4];
    }
    if (piece.steps == work.all_steps) {
        write(values);
        return;
    }
    // Every block has room for the sums of two pieces: all others have their row block to themselves.
    float *partials = reinterpret_cast<float *>(product.partials)
        + u64(block_y()) * work.blocks * 2 * FLASH_GPU_BLOCK_THREADS * lane_sums + thread();
    const auto part = [&](u32 block) {
        return partials + u64(work.share(block, piece.row_block)) * FLASH_GPU_BLOCK_THREADS * lane_sums;
    };
    float *own = part(block_x());
#pragma unroll
    for (int index = 0; index < lane_sums; index++) store(own + index * FLASH_GPU_BLOCK_THREADS, values[index]);
    u32 *arrivals = reinterpret_cast<u32 *>(product.arrivals) + block_y() * work.row_blocks + piece.row_block;
    const u32 first = work.block_of(piece.row_block * work.all_steps);
    const u32 last = work.block_of((piece.row_block + 1) * work.all_steps - 1);
    if (!arrives_last(arrivals, last - first + 1, flag)) return;
    // In the order of the columns, whoever comes last.
#pragma unroll
    for (int index = 0; index < lane_sums; index++) values[index] = 0;
    for (u32 block = first; block <= last; block++) {
        const float *share = part(block);
#pragma unroll
        for (int index = 0; index < lane_sums; index++) {
            values[index] += load_fresh(share + index * FLASH_GPU_BLOCK_THREADS);
        }
    }
    write(values);
}

}  // namespace gpu
