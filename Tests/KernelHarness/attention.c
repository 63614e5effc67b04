// Attention over the blocked cache, and the storing of keys and values into it.
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct cache {
    struct flash_cache_layer layer;
    struct guarded memory;
    int32_t *blocks;  // where each block of the sequence lies
    int64_t tokens;
};

static int64_t head_bytes(enum flash_cache_type type, int64_t width) {
    switch (type) {
        case FLASH_CACHE_F32: return FLASH_BLOCK_TOKENS * width * 4;
        case FLASH_CACHE_F16: return FLASH_BLOCK_TOKENS * width * 2;
        default: return FLASH_BLOCK_TOKENS * ((width + 1) / 2 * 2 + (int64_t)sizeof(float));
    }
}

// One element of a token's key or value as the cache must hold it, found again at its place.
static int is_stored(
    const struct cache *cache, const char *head, int isKey, int64_t slot, const float *elements) {
    const int64_t width = cache->layer.head_width;
    float magnitude = 0;
    for (int64_t d = 0; d < width; d++) magnitude = fmaxf(magnitude, fabsf(elements[d]));
    const float scale = magnitude >= 1e-35f ? magnitude / 127 : 0, factor = scale > 0 ? 127 / magnitude : 0;
    const int64_t even = (width + 1) / 2 * 2;
    int isRight = 1;
    for (int64_t d = 0; d < width; d++) {
        const int64_t place = isKey ? d * FLASH_BLOCK_TOKENS + slot : slot * width + d;
        const int64_t pair = isKey ? d / 2 * FLASH_BLOCK_TOKENS + slot : slot / 2 * even + d;
        switch (cache->layer.type) {
            case FLASH_CACHE_F32: isRight &= ((const float *)head)[place] == elements[d]; break;
            case FLASH_CACHE_F16: isRight &= ((const uint16_t *)head)[place] == flash_narrow_f16(elements[d]); break;
            default:
                isRight &= ((const int8_t *)head)[2 * pair + (isKey ? d : slot) % 2] ==
                           (int8_t)rintf(elements[d] * factor);

        }
    }
    if (cache->layer.type == FLASH_CACHE_I8)
        isRight &= ((const float *)(head + FLASH_BLOCK_TOKENS * even))[slot] == scale;
    return isRight;
}

// Fills the cache by `append`; slots without a token stay NaN, or -1 with the scale NaN.
static struct cache cache_make(int64_t tokens, int64_t heads, int64_t width, enum flash_cache_type type) {
    const int64_t blocks = (tokens + FLASH_BLOCK_TOKENS - 1) / FLASH_BLOCK_TOKENS, bytes = head_bytes(type, width);
    const int64_t superblocks = (blocks + FLASH_SUPERBLOCK - 1) / FLASH_SUPERBLOCK;
    const int64_t stride = (2 * heads * bytes * FLASH_SUPERBLOCK + 3) / 4 * 4;
    struct cache cache = {
        .layer = {.type = type, .superblock_stride = stride, .kv_heads = heads, .head_width = width},
        .memory = guarded_make((size_t)(superblocks * stride), 0), .blocks = malloc((size_t)blocks * sizeof(int32_t)),
        .tokens = tokens};
    cache.layer.layer = cache.memory.bytes;
    for (int64_t b = 0; b < blocks; b++) cache.blocks[b] = (int32_t)b;
    for (int64_t b = 0; b < blocks; b++) {
        const int64_t other = b + random_below(blocks - b);
        const int32_t block = cache.blocks[b];
        cache.blocks[b] = cache.blocks[other];
        cache.blocks[other] = block;
    }
    struct guarded keys = guarded_make((size_t)(heads * width) * sizeof(float), 0);
    struct guarded values = guarded_make((size_t)(heads * width) * sizeof(float), 0);
    int isRight = 1;
    for (int64_t token = 0; token < tokens; token++) {
        const float magnitude = random_below(30) == 0 ? 1e-38f : 1;
        for (int64_t i = 0; i < heads * width; i++) {
            ((float *)keys.bytes)[i] = random_float(-1, 1) * magnitude;
            ((float *)values.bytes)[i] = random_float(-1, 1);
        }
        const int64_t block = cache.blocks[token / FLASH_BLOCK_TOKENS], slot = token % FLASH_BLOCK_TOKENS;
        kernels->append(&cache.layer, block, slot, (const float *)keys.bytes, (const float *)values.bytes);
        for (int64_t head = 0; head < heads; head++) {
            const char *superblock = (const char *)cache.memory.bytes + block / FLASH_SUPERBLOCK * stride;
            const char *key = superblock + (head * 2 * FLASH_SUPERBLOCK + block % FLASH_SUPERBLOCK) * bytes;
            const char *value = key + FLASH_SUPERBLOCK * bytes;
            isRight &= is_stored(&cache, key, 1, slot, (const float *)keys.bytes + head * width);
            isRight &= is_stored(&cache, value, 0, slot, (const float *)values.bytes + head * width);
        }
    }
    check(isRight && guarded_is_intact(&cache.memory), "append: cache type %d, %lld heads of %lld, %lld tokens", type,
          (long long)heads, (long long)width, (long long)tokens);
    guarded_free(&keys);
    guarded_free(&values);
    return cache;
}

#define MOST_PARTS 4

// Queries of one call, with their outputs: `[parts, queries, width + 2]`, where parts are joined.
struct queries {
    int64_t count;
    struct guarded queries;
    const float *pointers[FLASH_ATTENTION_QUERIES];
    int64_t lengths[FLASH_ATTENTION_QUERIES];
    int64_t starts[FLASH_ATTENTION_QUERIES];
    int has_window;
};

static struct queries queries_make(const struct cache *cache, int64_t count) {
    const int64_t width = cache->layer.head_width;
    struct queries queries = {
        .count = count, .queries = guarded_make((size_t)(count * width) * sizeof(float), 0),
        .has_window = random_below(2) == 0};
    for (int64_t i = 0; i < count * width; i++) ((float *)queries.queries.bytes)[i] = random_float(-1, 1);
    for (int64_t i = 0; i < count; i++) {
        queries.pointers[i] = (const float *)queries.queries.bytes + i * width;
        queries.lengths[i] = random_below(3) == 0 ? 1 + random_below(cache->tokens) : cache->tokens;
        queries.starts[i] = queries.has_window ? random_below(queries.lengths[i]) : 0;
    }
    return queries;
}

// Attention over [0, tokens) in `parts` parts, each query's output to `[count, width]`.
static int attend_in_parts(
    const struct cache *cache, int64_t head, float scale, float cap, const struct queries *queries, int64_t parts,
    float *outputs) {
    const int64_t width = cache->layer.head_width, count = queries->count, stride = count * (width + 2);
    struct guarded memory = guarded_make((size_t)(parts * stride) * sizeof(float), 0);
    const int64_t blocks = (cache->tokens + FLASH_BLOCK_TOKENS - 1) / FLASH_BLOCK_TOKENS;
    for (int64_t part = 0; part < parts; part++) {
        float *pointers[FLASH_ATTENTION_QUERIES];
        for (int64_t i = 0; i < count; i++)
            pointers[i] = (float *)memory.bytes + part * stride + i * (width + 2);
        const int64_t first = part * blocks / parts * FLASH_BLOCK_TOKENS;
        const int64_t end = (part + 1) * blocks / parts * FLASH_BLOCK_TOKENS;
        const struct flash_attention attention = {
            .block_table = cache->blocks, .kv_head = head, .scale = scale, .cap = cap, .first_token = first,
            .end_token = end < cache->tokens ? end : cache->tokens, .query_count = count,
            .queries = queries->pointers, .lengths = queries->lengths,
            .starts = queries->has_window ? queries->starts : NULL, .outputs = pointers, .is_part = 1,
            .scratch = fresh_scratch(),
            // What comes next may be anything, and changes nothing.
            .next_block_table = random_below(2) ? cache->blocks : NULL, .next_kv_head = head,
            .next_first_token = 0, .next_end_token = 1 + random_below(cache->tokens)};
        kernels->attend(&cache->layer, &attention);
    }
    for (int64_t i = 0; i < count; i++)
        kernels->join_attention(
            (const float *)memory.bytes + i * (width + 2), stride, parts, width, outputs + i * width);
    const int isIntact = guarded_is_intact(&memory);
    guarded_free(&memory);
    return isIntact;
}

static void check_attention(const struct cache *cache, int64_t count, int64_t parts) {
    const int64_t width = cache->layer.head_width, head = random_below(cache->layer.kv_heads);
    const int64_t blocks = (cache->tokens + FLASH_BLOCK_TOKENS - 1) / FLASH_BLOCK_TOKENS;
    if (parts > blocks) parts = blocks;
    const float scale = 1 / sqrtf((float)width), cap = random_below(3) == 0 ? random_float(0.2f, 3) : 0;
    struct queries queries = queries_make(cache, count);
    struct guarded outputs = guarded_make((size_t)(count * width) * sizeof(float), 0);
    int isRight = 1;
    if (parts > 1) {
        isRight = attend_in_parts(cache, head, scale, cap, &queries, parts, (float *)outputs.bytes);
    } else {
        float *pointers[FLASH_ATTENTION_QUERIES];
        for (int64_t i = 0; i < count; i++) pointers[i] = (float *)outputs.bytes + i * width;
        const struct flash_attention attention = {
            .block_table = cache->blocks, .kv_head = head, .scale = scale, .cap = cap, .first_token = 0,
            .end_token = cache->tokens, .query_count = count, .queries = queries.pointers, .lengths = queries.lengths,
            .starts = queries.has_window ? queries.starts : NULL, .outputs = pointers, .is_part = 0,
            .scratch = fresh_scratch()};
        kernels->attend(&cache->layer, &attention);
    }
    // The reference reads all keys once for every element: a few queries of the call are enough.
    double worst = 0;
    for (int64_t i = 0; i < count; i += 1 + random_below(9)) {
        float expected[512];
        flash_reference_attend(
            &cache->layer, cache->blocks, head, scale, cap, queries.pointers[i], queries.starts[i],
            queries.lengths[i], expected);
        for (int64_t d = 0; d < width; d++) {
            const double error = fabs((double)((const float *)outputs.bytes)[i * width + d] - expected[d]);
            if (!(error <= worst)) worst = error;
        }
    }
    // An int8 cache's queries and weights have 15 bits and a sign: a hundredth of what the cache itself loses.
    const double most = cache->layer.type == FLASH_CACHE_I8 ? 4e-5 : 3e-6;
    check(isRight && worst <= most && guarded_is_intact(&outputs),
          "attend: cache type %d, heads of %lld, %lld tokens, %lld queries, %lld parts: off by %g", cache->layer.type,
          (long long)width, (long long)cache->tokens, (long long)count, (long long)parts, worst);
    guarded_free(&queries.queries);
    guarded_free(&outputs);
}

void test_attention(void) {
    static const int64_t widths[] = {2, 8, 9, 16, 20, 30, 48, 64, 80, 128};
    static const int64_t lengths[] = {1, 2, 15, 16, 17, 33, 70, 127, 128, 129, 144, 600};
    static const int64_t counts[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 24, 25, 63, 64};
    for (int type = FLASH_CACHE_F32; type <= FLASH_CACHE_I8; type++) {
        for (int w = 0; w < 10; w++) {
            for (int l = 0; l < 12; l++) {
                struct cache cache =
                    cache_make(lengths[l], 1 + random_below(3), widths[w], (enum flash_cache_type)type);
                for (int c = 0; c < 15; c += 1 + (int)random_below(6))
                    check_attention(&cache, counts[c], 1 + random_below(MOST_PARTS));
                guarded_free(&cache.memory);
                free(cache.blocks);
            }
        }
    }
}
