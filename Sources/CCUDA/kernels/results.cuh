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

// Which sums of a block a thread finishes: four, its lane's of what tensor cores give, of every eighth vector. Vectors
// count through the bands, then through tokens and panels: without slices a warp finishes what it has computed.
template <int panels, int groups, int slices>
struct Finished {
    static constexpr int warps = FLASH_GPU_BLOCK_THREADS / warp_lanes, bands = warps / slices;
    static constexpr int all = bands * panels * groups, count = (all + warps - 1) / warps;

    GPU_FUNCTION static u32 vector(int index) { return index * warps + warp(); }
    GPU_FUNCTION static bool is_there(int index) { return all % warps == 0 || vector(index) < all; }

    // Writes the sums of vector `index` of this warp: two tokens' of two rows.
    template <typename Element>
    GPU_FUNCTION static void write(
        const flash_gpu_product &product, const Piece &piece, int index, const float (&sums)[4]) {
        const u32 band = piece.row_block * bands + vector(index) % bands;
        const u32 own = slices == 1 ? u32(index) : vector(index) / bands;
        const u32 panel = own / groups, group = own % groups;
#pragma unroll
        for (int element = 0; element < 4; element++) {
            const u32 row = (band * panels + panel) * FLASH_GPU_PANEL_ROWS + lane() / 4 + element / 2 * 8;
            const u32 token = (block_y() * groups + group) * 8 + lane() % 4 * 2 + element % 2;
            if (row < product.rows && token < product.tokens) store_output<Element>(product, token, row, sums[element]);
        }
    }
};

// The sums of all slices, in their order, of the vectors that this thread finishes. `shared` has room for all warps'
// sums, which no warp uses any more.
template <int slices, int panels, int groups, int count>
GPU_FUNCTION void join_slices(const float (&sums)[panels][groups][4], float (&joined)[count][4], Shared shared) {
    using Own = Finished<panels, groups, slices>;
    constexpr u32 vector_bytes = 16 * warp_lanes;
    const Shared place = shared + lane() * 16;
#pragma unroll
    for (int own = 0; own < panels * groups; own++) {
        const float(&four)[4] = sums[own / groups][own % groups];
        const u32 vector = warp() / Own::bands * Own::all + own * Own::bands + warp() % Own::bands;
        store_shared(
            place + vector * vector_bytes,
            Words4{as_bits(four[0]), as_bits(four[1]), as_bits(four[2]), as_bits(four[3])});
    }
    block_barrier();
#pragma unroll
    for (int index = 0; index < count; index++) {
        if (!Own::is_there(index)) continue;
        float(&four)[4] = joined[index];
        four[0] = four[1] = four[2] = four[3] = 0;
#pragma unroll
        for (int slice = 0; slice < slices; slice++) {
            const Words4 found = load_shared<Words4>(place + (slice * Own::all + Own::vector(index)) * vector_bytes);
            four[0] += as_float(found.x);
            four[1] += as_float(found.y);
            four[2] += as_float(found.z);
            four[3] += as_float(found.w);
        }
    }
    // The next piece's weights come here.
    block_barrier();
}

// Adds up and writes the sums of a row block whose shares have all arrived: in the order of the columns, whoever came
// last. `part(block)` is where this thread's sums of a block's share begin.
template <typename Element, typename Own, typename Part>
GPU_FUNCTION void add_up(const flash_gpu_product &product, const Piece &piece, u32 first, u32 last, Part part) {
    constexpr int size = Own::count < 4 ? Own::count : 4;
    static_assert(Own::count % size == 0);
#pragma unroll
    for (int begin = 0; begin < Own::count; begin += size) {
        float sums[size][4] = {};
        if (!Own::is_there(begin)) continue;
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
            Own::template write<Element>(product, piece, begin + index, sums[index]);
        }
    }
}

// Writes or adds up the sums of a block's warps. `shared` is memory for all of them that no warp uses any more, with
// several slices; `flag` a word of shared memory for this alone.
template <typename Element, int slices, int panels, int groups>
GPU_FUNCTION void finish(
    const flash_gpu_product &product, const Work &work, const Piece &piece, const float (&sums)[panels][groups][4],
    Shared shared, Shared flag) {
    using Own = Finished<panels, groups, slices>;
    float joined[Own::count][4];
    if constexpr (slices == 1) {
#pragma unroll
        for (int index = 0; index < Own::count; index++) {
#pragma unroll
            for (int element = 0; element < 4; element++) {
                joined[index][element] = sums[index / groups][index % groups][element];
            }
        }
    } else {
        join_slices<slices>(sums, joined, shared);
    }
    const bool is_whole = piece.steps == work.all_steps;
    // Every block has room for the sums of two pieces: all others have their row block to themselves.
    const u64 block_vectors = Own::all * warp_lanes;
    Words4 *partials = reinterpret_cast<Words4 *>(product.partials)
        + u64(block_y()) * work.blocks * 2 * block_vectors + thread();
    const auto part = [&](u32 block) { return partials + work.share(block, piece.row_block) * block_vectors; };
    Words4 *own = part(block_x());
#pragma unroll
    for (int index = 0; index < Own::count; index++) {
        if (!Own::is_there(index)) continue;
        const float(&four)[4] = joined[index];
        if (is_whole) {
            Own::template write<Element>(product, piece, index, four);
        } else {
            store(
                own + index * FLASH_GPU_BLOCK_THREADS,
                Words4{as_bits(four[0]), as_bits(four[1]), as_bits(four[2]), as_bits(four[3])});
        }
    }
    if (is_whole) return;
    u32 *arrivals = reinterpret_cast<u32 *>(product.arrivals) + block_y() * work.row_blocks + piece.row_block;
    const u32 first = work.block_of(piece.row_block, 0);
    const u32 last = work.block_of(piece.row_block, work.all_steps - 1);
    if (arrives_last(arrivals, last - first + 1, flag)) add_up<Element, Own>(product, piece, first, last, part);
}

}  // namespace gpu
