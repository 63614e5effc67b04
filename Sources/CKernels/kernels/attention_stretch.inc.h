// What the two kinds of attention share: a stretch of the cache, a block of queries.

// The most blocks of a stretch, and how many of them a type's stretches have: as many bytes.
#define STRETCH_BLOCKS 16
#define STRETCH_TOKENS (STRETCH_BLOCKS * FLASH_BLOCK_TOKENS)
ALWAYS_INLINE int64_t stretch_tokens(const enum flash_cache_type type) {
    return type == FLASH_CACHE_I8 ? STRETCH_TOKENS : STRETCH_TOKENS / 2;
}
// Vectors that hold one element of a block's keys.
#define BLOCK_VECTORS (FLASH_BLOCK_TOKENS / LANES)

// Register blocking: queries x vectors of sums, at most what leaves room for the operands.
#ifndef QUERY_BLOCK
#define ATTENTION_SUMS (LANES == 16 ? 24 : 12)
#define QUERY_BLOCK (LANES == 16 ? 12 : LANES == 8 ? 6 : 3)
#endif
// Blocks whose keys are read side by side. A few queries wait for memory, which is read best in order (Zen 4, three
// queries: one block 25 GB/s, two 24, four 19); one or two alone would wait for their sums. Many share each key.
ALWAYS_INLINE int score_blocks(const int count) {
    const int most = ATTENTION_SUMS / (count * BLOCK_VECTORS);
    if (count * BLOCK_VECTORS >= 3 && count <= 4) return 1;
    return most >= 2 ? 2 : 1;
}
ALWAYS_INLINE int value_vectors(const int count) {
    const int most = ATTENTION_SUMS / count;
    return most >= 8 && LANES < 16 ? 8 : most >= 4 ? 4 : 2;
}

// Into the second-level cache: the first has room for 24 lines on their way (Zen 4), 14 GB/s.
#define PREFETCH(address) __builtin_prefetch(address, 0, 2)

// Where one stretch's keys and values lie, block by block.
struct stretch {
    const char *keys[STRETCH_BLOCKS], *values[STRETCH_BLOCKS];
    int64_t tokens;  // up to STRETCH_TOKENS
    int64_t blocks;
};

ALWAYS_INLINE void stretch_at(
    struct stretch *stretch, const struct flash_cache_layer *cache, const enum flash_cache_type type,
    const int32_t *block_table, int64_t kv_head, int64_t start, int64_t end) {
    const int64_t most = stretch_tokens(type);
    stretch->tokens = end - start < most ? end - start : most;
    stretch->blocks = (stretch->tokens + FLASH_BLOCK_TOKENS - 1) / FLASH_BLOCK_TOKENS;
    for (int64_t b = 0; b < stretch->blocks; b++) {
        stretch->keys[b] = cache_keys(cache, type, block_table[start / FLASH_BLOCK_TOKENS + b], kv_head);
        stretch->values[b] = cache_values(cache, type, stretch->keys[b]);
    }
    // Prefetched like the others.
    for (int64_t b = stretch->blocks; b < STRETCH_BLOCKS; b++) {
        stretch->keys[b] = stretch->keys[b - 1];
        stretch->values[b] = stretch->values[b - 1];
    }
}

// The stretch after the one at `start`: of the same context, or of what comes after it; else `last` once more.
ALWAYS_INLINE const struct stretch *next_stretch(
    struct stretch *next, const struct stretch *last, const struct flash_cache_layer *cache,
    const enum flash_cache_type type, const struct flash_attention *attention, int64_t start) {
    const int64_t after = start + stretch_tokens(type);
    if (after < attention->end_token) {
        stretch_at(next, cache, type, attention->block_table, attention->kv_head, after, attention->end_token);
    } else if (attention->next_block_table) {
        stretch_at(
            next, cache, type, attention->next_block_table, attention->next_kv_head, attention->next_first_token,
            attention->next_end_token);
    } else {
        return last;
    }
    return next;
}

// Some queries that are looked after together.
struct query_block {
    const void *queries;        // scaled: `[width, count]` float32, or `[width / 2, count]` pairs of integers
    const float *query_scales;  // of integers
    const int64_t *skipped;     // tokens at the stretch's beginning that a query does not see; below 0: none
    const int64_t *visible;     // tokens of the stretch that a query sees, those included
    float *const *outputs;
    float *maxima, *sums;
    float cap;                  // of scores; 0: none
};
