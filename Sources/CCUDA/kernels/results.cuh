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

// Writes four sums of this lane, what tensor cores give for panel `panel` of band `band` and tokens 8 * group ... of
// the block: two tokens' of two rows.
template <typename Element, int panels, int groups>
GPU_FUNCTION void write_four(
    const flash_gpu_product &product, u32 band, int panel, int group, const float (&sums)[4]) {
#pragma unroll
    for (int index = 0; index < 4; index++) {
        const u32 row = (band * panels + panel) * FLASH_GPU_PANEL_ROWS + lane() / 4 + index / 2 * 8;
        const u32 token = (block_y() * groups + group) * 8 + lane() % 4 * 2 + index % 2;
        if (row < product.rows && token < product.tokens) store_output<Element>(product, token, row, sums[index]);
    }
}

// Adds up and writes the sums of a row block whose shares have all arrived: in the order of the columns, whoever came
// last. `part(block)` is where this thread's sums of a block's share begin.
template <typename Element, int panels, int groups, typename Part>
GPU_FUNCTION void add_up(const flash_gpu_product &product, u32 band, u32 first, u32 last, Part part) {
    constexpr int vectors = panels * groups, size = vectors < 4 ? vectors : 4;
#pragma unroll
    for (int begin = 0; begin < vectors; begin += size) {
        float sums[size][4] = {};
        for (u32 block = first; block <= last; block += 4) {
            // All asked for at once: one by one each would take the time that an access takes.
            Words4 found[4][size];
#pragma unroll
            for (u32 other = 0; other < 4; other++) {
                const Words4 *share = part(block + other < last ? block + other : last);
#pragma unroll
                for (int index = 0; index < size; index++) {
                    found[other][index] = load_fresh(share + (begin + index) * FLASH_GPU_BLOCK_THREADS);
                }
            }
#pragma unroll
            for (u32 other = 0; other < 4; other++) {
                if (block + other > last) break;
#pragma unroll
                for (int index = 0; index < size; index++) {
                    sums[index][0] += as_float(found[other][index].x);
                    sums[index][1] += as_float(found[other][index].y);
                    sums[index][2] += as_float(found[other][index].z);
                    sums[index][3] += as_float(found[other][index].w);
                }
            }
        }
#pragma unroll
        for (int index = 0; index < size; index++) {
            const int vector = begin + index;
            write_four<Element, panels, groups>(product, band, vector / groups, vector % groups, sums[index]);
        }
    }
}

// Writes or adds up the sums of a warp with band `band`; `flag` is a word of shared memory for this alone.
template <typename Element, int panels, int groups>
GPU_FUNCTION void finish(
    const flash_gpu_product &product, const Work &work, const Piece &piece, u32 band,
    const float (&sums)[panels][groups][4], Shared flag) {
    constexpr int vectors = panels * groups;
    const bool is_whole = piece.steps == work.all_steps;
    // Every block has room for the sums of two pieces: all others have their row block to themselves.
    const u64 block_vectors = FLASH_GPU_BLOCK_THREADS * vectors;
    Words4 *partials = reinterpret_cast<Words4 *>(product.partials)
        + u64(block_y()) * work.blocks * 2 * block_vectors + thread();
    const auto part = [&](u32 block) { return partials + work.share(block, piece.row_block) * block_vectors; };
    Words4 *own = part(block_x());
#pragma unroll
    for (int vector = 0; vector < vectors; vector++) {
        const int panel = vector / groups, group = vector % groups;
        const float(&four)[4] = sums[panel][group];
        if (is_whole) {
            write_four<Element, panels, groups>(product, band, panel, group, four);
        } else {
            store(
                own + vector * FLASH_GPU_BLOCK_THREADS,
                Words4{as_bits(four[0]), as_bits(four[1]), as_bits(four[2]), as_bits(four[3])});
        }
    }
    if (is_whole) return;
    u32 *arrivals = reinterpret_cast<u32 *>(product.arrivals) + block_y() * work.row_blocks + piece.row_block;
    const u32 first = work.block_of(piece.row_block, 0);
    const u32 last = work.block_of(piece.row_block, work.all_steps - 1);
    if (arrives_last(arrivals, last - first + 1, flag)) {
        add_up<Element, panels, groups>(product, band, first, last, part);
    }
}

}  // namespace gpu
