// Softmax attention over the cache, online (Dao, FlashAttention-2, arXiv:2307.08691): one block for some queries of one
// key-value head, with all the query heads that share it, so that keys and values are read once.
//
// A block goes over its part of the context in tiles, which come by asynchronous copies one tile ahead. Its rows are
// (token, query head) pairs, 16 a warp. For prompts every warp has rows of its own and all of the tile; where there are
// few rows, which is decoding, all warps have the same ones and 16 tokens of the tile each.
#pragma once

#include "arrivals.cuh"
#include "elements.cuh"
#include "gpu_parameters.h"
#include "soft_cap.cuh"

namespace gpu {

// `head`: elements of a head, a multiple of 16.
template <int head, int query_warps, int context_warps>
struct AttentionShape {
    static constexpr u32 threads = warp_lanes * query_warps * context_warps;
    static constexpr u32 rows = 16 * query_warps;
    // 64 tokens, but where that takes the memory of a second block of the multiprocessor, or more than there is.
    static constexpr u32 tile_tokens = context_warps > 1 ? 16 * context_warps : head <= 64 ? 64 : 32;
    static constexpr u32 warp_tokens = tile_tokens / context_warps;
    // Rows begin an odd number of 16 bytes apart: the eight that a phase of load_matrices reads are on different banks.
    static constexpr u32 row_bytes = 2 * head + 16;
    static constexpr u32 query_bytes = rows * row_bytes;
    static constexpr u32 tile_bytes = tile_tokens * row_bytes;
    static constexpr u32 stage_bytes = 2 * tile_bytes;
    static constexpr u32 shared_bytes = query_bytes + 2 * stage_bytes;
    // Words of a row in the making: its sums, its largest score, its sum of weights. In shared memory four rows with
    // their eight words side by side are on different banks.
    static constexpr u32 shared_record = head + 8;
    static constexpr bool keeps_queries = head <= 128;
    // Warps join their rows where the tiles were.
    static_assert(context_warps == 1 || context_warps * rows * shared_record * 4 <= 2 * stage_bytes);
};

constexpr u32 minus_infinity = 0xff800000u;

// The first token that somebody at a position looks at.
GPU_FUNCTION u32 window_begin(u32 position, u32 window) {
    return window == 0 || position < window ? 0 : position + 1 - window;
}

// Which (token, query head) pairs a block has: row r is query head r % group of token r / group.
struct AttentionRows {
    flash_gpu_attention_task task;
    u32 cache_head, group;

    GPU_FUNCTION explicit AttentionRows(const flash_gpu_attention &attention) {
        const auto *words = reinterpret_cast<const u32 *>(attention.tasks) + block_x() * (sizeof task / 4);
        task.first_token = load(words + 0);
        task.tokens = load(words + 1);
        task.first_position = load(words + 2);
        task.first_block = load(words + 3);
        task.context_begin = load(words + 4);
        task.context_end = load(words + 5);
        task.part = load(words + 6);
        task.parts = load(words + 7);
        task.first_slot = load(words + 8);
        cache_head = block_y();
        group = attention.group;
    }

    GPU_FUNCTION u32 count() const { return task.tokens * group; }
    GPU_FUNCTION u32 position(u32 row) const { return task.first_position + row / group; }
    GPU_FUNCTION u32 token(u32 row) const { return task.first_token + row / group; }
    // Where the block begins to look. No row looks further back than the first one does. Whole tiles are left out: none
    // may end behind the part, where its rows would see tokens that are not there. A part that lies before all windows
    // begins behind its end.
    GPU_FUNCTION u32 context_begin(u32 window, u32 tile_tokens) const {
        const u32 begin = task.context_begin, seen = window_begin(task.first_position, window);
        return seen > begin ? begin + (seen - begin) / tile_tokens * tile_tokens : begin;
    }
    // Among all heads.
    GPU_FUNCTION u32 query_head(u32 row) const { return cache_head * group + row % group; }
};

// A warp's 16 rows over what it has seen of the context. A lane has rows lane / 4 and lane / 4 + 8, places as tensor
// cores have them.
template <int head>
struct AttentionState {
    float sums[head / 8][4] = {};
    float maxima[2] = {as_float(minus_infinity), as_float(minus_infinity)};
    // Of this lane's columns alone, until `finish`.
    float totals[2] = {0, 0};

    // Turns scores into weights, and scales down what was summed before by how much the largest score has grown.
    template <int tiles>
    GPU_FUNCTION void take(float (&scores)[tiles][4]) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            float largest = maxima[half];
#pragma unroll
            for (int tile = 0; tile < tiles; tile++) {
                largest = maximum(largest, maximum(scores[tile][2 * half], scores[tile][2 * half + 1]));
            }
            largest = maximum(largest, shuffle_xor(largest, 1));
            largest = maximum(largest, shuffle_xor(largest, 2));
            // A row that may look at nothing yet keeps weights of 0.
            const float base = largest == as_float(minus_infinity) ? 0.0f : largest;
            const float factor = exp2_approximate(maxima[half] - base);
            maxima[half] = largest;
            totals[half] *= factor;
#pragma unroll
            for (int tile = 0; tile < tiles; tile++) {
#pragma unroll
                for (int index = 2 * half; index < 2 * half + 2; index++) {
                    scores[tile][index] = exp2_approximate(scores[tile][index] - base);
                    totals[half] += scores[tile][index];
                }
            }
#pragma unroll
            for (int tile = 0; tile < head / 8; tile++) {
                sums[tile][2 * half] *= factor;
                sums[tile][2 * half + 1] *= factor;
            }
        }
    }

    GPU_FUNCTION void finish() {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            totals[half] += shuffle_xor(totals[half], 1);
            totals[half] += shuffle_xor(totals[half], 2);
        }
    }
};

template <int head, int query_warps, int context_warps>
struct AttentionTiles {
    using Shape = AttentionShape<head, query_warps, context_warps>;
    static constexpr u32 chunks = head / 8;  // of 16 bytes in a row

    const flash_gpu_attention &attention;
    const AttentionRows &rows;

    GPU_FUNCTION void fetch_queries(Shared to) const {
        const u16 *queries = reinterpret_cast<const u16 *>(attention.queries);
        const u32 heads = attention.cache_head_count * rows.group;
        for (u32 index = thread(); index < Shape::rows * chunks; index += Shape::threads) {
            const u32 row = index / chunks, chunk = index % chunks;
            const bool valid = row < rows.count();
            const u64 offset = valid ? (u64(rows.token(row)) * heads + rows.query_head(row)) * head + chunk * 8 : 0;
            copy_async_16_or_zero(to + row * Shape::row_bytes + chunk * 16, queries + offset, valid);
        }
    }

    // Keys and values of the tokens from `first` on; those behind the part's end are zero, whatever is in the cache.
    GPU_FUNCTION void fetch(u32 first, Shared to) const {
        const u16 *cache = reinterpret_cast<const u16 *>(attention.cache);
        const i32 *blocks = reinterpret_cast<const i32 *>(attention.blocks) + rows.task.first_block;
        constexpr u32 row_elements = head, block_elements = FLASH_GPU_CACHE_TOKENS * head;
        const u64 values = u64(attention.cache_head_count) * block_elements;
        for (u32 index = thread(); index < Shape::tile_tokens * chunks; index += Shape::threads) {
            const u32 row = index / chunks, chunk = index % chunks, token = first + row;
            const bool valid = token < rows.task.context_end;
            u64 offset = 0;
            if (valid) {
                const u64 block = u32(load(blocks + token / FLASH_GPU_CACHE_TOKENS));
                offset = (block * 2 * attention.cache_head_count + rows.cache_head) * block_elements
                         + token % FLASH_GPU_CACHE_TOKENS * row_elements + chunk * 8;
            }
            const Shared place = to + row * Shape::row_bytes + chunk * 16;
            copy_async_16_or_zero(place, cache + offset, valid);
            copy_async_16_or_zero(place + Shape::tile_bytes, cache + (valid ? offset + values : 0), valid);
        }
    }
};

// The fragment of 16 queries for elements 16 * step ... of the head.
template <typename Shape>
GPU_FUNCTION void load_queries(u32 (&words)[4], Shared queries, u32 step) {
    load_matrices(words, queries + lane() % 16 * Shape::row_bytes + (2 * step + lane() / 16) * 16);
}

// A warp's scores: its 16 queries times the keys of its tokens, which begin at `keys`.
template <typename Shape, int steps, int tiles>
GPU_FUNCTION void score(
    float (&scores)[tiles][4], const u32 (&kept)[Shape::keeps_queries ? steps : 1][4], Shared queries, Shared keys) {
    const Shared row = keys + (lane() / 16 * 8 + lane() % 8) * Shape::row_bytes + lane() / 8 % 2 * 16;
#pragma unroll
    for (int step = 0; step < steps; step++) {
        u32 fragment[4];
        if constexpr (Shape::keeps_queries) {
#pragma unroll
            for (int index = 0; index < 4; index++) fragment[index] = kept[step][index];
        } else {
            load_queries<Shape>(fragment, queries, step);
        }
#pragma unroll
        for (int pair = 0; pair < tiles / 2; pair++) {
            u32 words[4];
            load_matrices(words, row + pair * 16 * Shape::row_bytes + step * 32);
            multiply_f16(scores[2 * pair], fragment, words[0], words[1]);
            multiply_f16(scores[2 * pair + 1], fragment, words[2], words[3]);
        }
    }
}

// Scales and caps scores, and hides tokens behind their row's position or before its window. `first` is the position of
// the warp's first token.
template <int tiles>
GPU_FUNCTION void mask(
    float (&scores)[tiles][4], const u32 (&positions)[2], u32 first, const flash_gpu_attention &attention) {
    const u32 window = attention.window;
    const u32 begins[2] = {window_begin(positions[0], window), window_begin(positions[1], window)};
#pragma unroll
    for (int tile = 0; tile < tiles; tile++) {
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const u32 position = first + tile * 8 + lane() % 4 * 2 + index % 2;
            const bool is_seen = position <= positions[index / 2] && position >= begins[index / 2];
            float score = scores[tile][index] * attention.scale;
            if (attention.cap != 0) score = soft_cap(score, attention.cap);
            scores[tile][index] = is_seen ? score : as_float(minus_infinity);
        }
    }
}

// sums += weights * values
template <typename Shape, int head, int tiles>
GPU_FUNCTION void weigh(AttentionState<head> &state, const float (&weights)[tiles][4], Shared values) {
    const Shared row = values + lane() % 16 * Shape::row_bytes + lane() / 16 * 16;
#pragma unroll
    for (int pair = 0; pair < tiles / 2; pair++) {
        const float(&low)[4] = weights[2 * pair], (&high)[4] = weights[2 * pair + 1];
        const u32 fragment[4] = {pack_f16(low[0], low[1]), pack_f16(low[2], low[3]), pack_f16(high[0], high[1]),
                                 pack_f16(high[2], high[3])};
#pragma unroll
        for (int column = 0; column < head / 16; column++) {
            u32 words[4];
            load_matrices_transposed(words, row + pair * 16 * Shape::row_bytes + column * 32);
            multiply_f16(state.sums[2 * column], fragment, words[0], words[1]);
            multiply_f16(state.sums[2 * column + 1], fragment, words[2], words[3]);
        }
    }
}

}  // namespace gpu
