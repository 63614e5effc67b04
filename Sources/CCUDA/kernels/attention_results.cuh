// What becomes of a block's attention: joined over its warps, then the output, or a part of it that the last part's
// block joins ("flash decoding", Dao et al., 2023). Joins go in the order of the context, whoever comes last.
#pragma once

#include "attention.cuh"

namespace gpu {

// A stretch of a row's sums, in the making or whole.
struct AttentionPair {
    float first, second;
    float maximum, total;

    // Adds what another part of the context gives, where both largest scores are at most `largest`.
    GPU_FUNCTION void add(const AttentionPair &other, float largest) {
        const float factor = exp2_approximate(other.maximum - largest);
        first = fused_multiply_add(other.first, factor, first);
        second = fused_multiply_add(other.second, factor, second);
        total = fused_multiply_add(other.total, factor, total);
    }
};

// Two neighbouring elements of a finished row.
GPU_FUNCTION void store_attended(
    const flash_gpu_attention &attention, const AttentionRows &rows, u32 row, u32 element, const AttentionPair &pair) {
    // What fills up a head is nobody's; head sizes are even.
    if (row >= rows.count() || element >= attention.head_size) return;
    const u64 column = rows.query_head(row) * attention.head_size + element;
    const u64 index = u64(rows.token(row)) * attention.output_stride + column;
    const float first = pair.first / pair.total, second = pair.second / pair.total;
    const u32 words = attention.output_is_bf16 ? pack_bf16(first, second) : pack_f16(first, second);
    store(reinterpret_cast<u32 *>(reinterpret_cast<u16 *>(attention.output) + index), words);
}

// Record `index` of those from `records` on: a row's sums, largest score and sum of weights.
template <int head>
GPU_FUNCTION float *attention_record(const flash_gpu_attention &attention, u64 index) {
    return reinterpret_cast<float *>(attention.partials) + index * (head + 2);
}

template <typename Shape, int head>
GPU_FUNCTION void store_part(
    const flash_gpu_attention &attention, const AttentionRows &rows, u32 row, u32 element, const AttentionPair &pair) {
    if (row >= rows.count()) return;
    const u64 slot = u64(rows.task.first_slot + rows.task.part) * attention.cache_head_count + rows.cache_head;
    float *record = attention_record<head>(attention, slot * Shape::rows + row);
    store(reinterpret_cast<Words2 *>(record + element), Words2{as_bits(pair.first), as_bits(pair.second)});
    if (element == 0) {
        store(reinterpret_cast<Words2 *>(record + head), Words2{as_bits(pair.maximum), as_bits(pair.total)});
    }
}

// Adds up the parts of the block's rows.
template <typename Shape, int head>
GPU_FUNCTION void join_parts(const flash_gpu_attention &attention, const AttentionRows &rows) {
    const u64 stride = u64(attention.cache_head_count) * Shape::rows;
    const u64 first = u64(rows.task.first_slot) * stride + rows.cache_head * Shape::rows;
    for (u32 index = thread(); index < rows.count() * (head / 2); index += Shape::threads) {
        const u32 row = index / (head / 2), element = index % (head / 2) * 2;
        float largest = as_float(minus_infinity);
        for (u32 part = 0; part < rows.task.parts; part++) {
            const float *record = attention_record<head>(attention, first + part * stride + row);
            largest = maximum(largest, load_fresh(record + head));
        }
        AttentionPair joined = {0, 0, largest, 0};
        for (u32 part = 0; part < rows.task.parts; part++) {
            const float *record = attention_record<head>(attention, first + part * stride + row);
            joined.add({load_fresh(record + element), load_fresh(record + element + 1), load_fresh(record + head),
                        load_fresh(record + head + 1)},
                       largest);
        }
        store_attended(attention, rows, row, element, joined);
    }
}

// Every lane's pairs of a warp's rows: `body(row, element, pair)`.
template <int head, typename Body>
GPU_FUNCTION void for_each_pair(const AttentionState<head> &state, u32 first_row, Body body) {
#pragma unroll
    for (int tile = 0; tile < head / 8; tile++) {
#pragma unroll
        for (int half = 0; half < 2; half++) {
            const AttentionPair pair = {state.sums[tile][2 * half], state.sums[tile][2 * half + 1], state.maxima[half],
                                        state.totals[half]};
            body(first_row + lane() / 4 + half * 8, tile * 8 + lane() % 4 * 2, pair);
        }
    }
}

// The same pairs of the warps that have looked at parts of the context, joined, spread over all threads. `shared` is
// memory that nobody uses any more.
template <typename Shape, int head, int context_warps, typename Body>
GPU_FUNCTION void for_each_joined_pair(const AttentionState<head> &state, Shared shared, Body body) {
    constexpr u32 record_bytes = 4 * Shape::shared_record;
    const Shared own = shared + warp() * Shape::rows * record_bytes;
    for_each_pair<head>(state, 0, [&](u32 row, u32 element, const AttentionPair &pair) {
        const Shared record = own + row * record_bytes;
        store_shared(record + 4 * element, Words2{as_bits(pair.first), as_bits(pair.second)});
        if (element == 0) store_shared(record + 4 * head, Words2{as_bits(pair.maximum), as_bits(pair.total)});
    });
    block_barrier();
    for (u32 index = thread(); index < Shape::rows * (head / 2); index += Shape::threads) {
        const u32 row = index / (head / 2), element = index % (head / 2) * 2;
        AttentionPair pairs[context_warps];
        float largest = as_float(minus_infinity);
#pragma unroll
        for (int part = 0; part < context_warps; part++) {
            const Shared record = shared + (part * Shape::rows + row) * record_bytes;
            const Words2 values = load_shared<Words2>(record + 4 * element);
            const Words2 rest = load_shared<Words2>(record + 4 * head);
            pairs[part] = {as_float(values.x), as_float(values.y), as_float(rest.x), as_float(rest.y)};
            largest = maximum(largest, pairs[part].maximum);
        }
        // A row that no warp has seen anything for keeps weights of 0.
        const float base = largest == as_float(minus_infinity) ? 0.0f : largest;
        AttentionPair joined = {0, 0, largest, 0};
#pragma unroll
        for (int part = 0; part < context_warps; part++) joined.add(pairs[part], base);
        body(row, element, joined);
    }
}

}  // namespace gpu
