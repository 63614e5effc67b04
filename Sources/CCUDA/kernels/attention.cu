// Attention over the blocked cache, for prompts and for decoding: see attention.cuh.
#include "attention_results.cuh"
#include "turns.cuh"

using namespace gpu;

namespace {

template <int head, int query_warps, int context_warps>
GPU_FUNCTION void attend(const flash_gpu_attention &attention) {
    take_turn();
    using Shape = AttentionShape<head, query_warps, context_warps>;
    const AttentionRows rows(attention);
    if (rows.task.tokens == 0) return;
    const AttentionTiles<head, query_warps, context_warps> source = {attention, rows};
    const u32 first_row = warp() / context_warps * 16, first_tile_token = warp() % context_warps * Shape::warp_tokens;
    const Shared queries = shared_base(), tiles = queries + Shape::query_bytes;
    const Shared own_queries = queries + first_row * Shape::row_bytes;
    const u32 begin = rows.context_begin(attention.window, Shape::tile_tokens), end = rows.task.context_end;
    const u32 positions[2] = {rows.position(first_row + lane() / 4), rows.position(first_row + lane() / 4 + 8)};
    const u32 last_position = rows.position(first_row + 15);

    source.fetch_queries(queries);
    source.fetch(begin, tiles);
    copy_async_commit();

    AttentionState<head> state;
    u32 kept[Shape::keeps_queries ? head / 16 : 1][4];
    u32 stage = 0;
    for (u32 first = begin; first < end; first += Shape::tile_tokens, stage ^= 1) {
        copy_async_wait<0>();
        // What landed is everybody's, and the stage that was read a tile ago is free.
        block_barrier();
        if (first + Shape::tile_tokens < end) {
            source.fetch(first + Shape::tile_tokens, tiles + (stage ^ 1) * Shape::stage_bytes);
        }
        copy_async_commit();
        if constexpr (Shape::keeps_queries) {
            if (first == begin) {
#pragma unroll
                for (int step = 0; step < head / 16; step++) load_queries<Shape>(kept[step], own_queries, step);
            }
        }
        const u32 own_first = first + first_tile_token;
        // Tokens that are all behind these rows' positions, or behind the part's end.
        if (own_first > last_position || own_first >= end) continue;
        const Shared keys = tiles + stage * Shape::stage_bytes + first_tile_token * Shape::row_bytes;
        float scores[Shape::warp_tokens / 8][4] = {};
        score<Shape, head / 16>(scores, kept, own_queries, keys);
        mask(scores, positions, own_first, attention);
        state.take(scores);
        weigh<Shape>(state, scores, keys + Shape::tile_bytes);
    }
    state.finish();
    copy_async_wait<0>();
    block_barrier();

    const bool is_whole = rows.task.parts == 1;
    const auto keep = [&](u32 row, u32 element, const AttentionPair &pair) {
        if (is_whole) {
            store_attended(attention, rows, row, element, pair);
        } else {
            store_part<Shape, head>(attention, rows, row, element, pair);
        }
    };
    if constexpr (context_warps == 1) {
        for_each_pair<head>(state, first_row, keep);
    } else {
        for_each_joined_pair<Shape, head, context_warps>(state, tiles, keep);
    }
    if (is_whole) return;
    u32 *arrivals = reinterpret_cast<u32 *>(attention.arrivals) + u64(rows.task.first_slot) * attention.cache_head_count
                    + rows.cache_head;
    if (arrives_last(arrivals, rows.task.parts, queries)) join_parts<Shape, head>(attention, rows);
}

}  // namespace

#define KERNEL(shape, head, query_warps, context_warps)                                            \
    GPU_KERNEL(attend_##shape##_##head, 32 * query_warps * context_warps, flash_gpu_attention) { \
        attend<head, query_warps, context_warps>(parameters);                                      \
    }

// The host compiles the one kernel that it needs, of any multiple of 16.
#ifdef FLASH_GPU_INSTANCE
FLASH_GPU_INSTANCE
#else
#define KERNELS(head) KERNEL(prompt, head, 4, 1) KERNEL(decode, head, 1, 4)
#define WIDE_KERNELS(head) KERNEL(prompt, head, 4, 1) KERNEL(decode, head, 1, 2)
KERNELS(16)
KERNELS(32)
KERNELS(48)
KERNELS(64)
KERNELS(80)
KERNELS(96)
KERNELS(112)
KERNELS(128)
WIDE_KERNELS(144)
WIDE_KERNELS(192)
WIDE_KERNELS(256)
#endif
