// Attention over the blocked cache with an online softmax (Milakov, Gimelshein, arXiv:1805.02867), a stretch of blocks
// at a time: scores of the stretch, their softmax against the running maximum, weighted values. A stretch is long
// enough that the softmax's horizontal sums and rescaling cost little, short enough that its keys and values (f16: 16
// KiB each at 64 elements a head) are still in cache for the next block of queries.

#define STRETCH_BLOCKS 8
#define STRETCH_TOKENS (STRETCH_BLOCKS * FLASH_BLOCK_TOKENS)
// Vectors that hold one element of a block's keys.
#define BLOCK_VECTORS (FLASH_BLOCK_TOKENS / LANES)

// Register blocking: queries x vectors of sums, at least 8 to hide the latency of the multiply-add, at most what leaves
// room for the operands. Fewer queries take more blocks at a time.
#ifndef QUERY_BLOCK
#define ATTENTION_SUMS (LANES == 16 ? 24 : 12)
#define QUERY_BLOCK (LANES == 16 ? 12 : LANES == 8 ? 6 : 3)
#endif
ALWAYS_INLINE int score_blocks(const int count) {
    const int most = ATTENTION_SUMS / (count * BLOCK_VECTORS);
    return most >= 4 ? 4 : most >= 2 ? 2 : 1;
}
ALWAYS_INLINE int value_vectors(const int count) {
    const int most = ATTENTION_SUMS / count;
    return most >= 8 && LANES < 16 ? 8 : most >= 4 ? 4 : 2;
}

ALWAYS_INLINE int64_t cache_element_bytes(const enum flash_cache_type type) {
    return type == FLASH_CACHE_F32 ? 4 : type == FLASH_CACHE_F16 ? 2 : 1;
}
// The scales behind a head's 16 tokens.
ALWAYS_INLINE int64_t cache_scale_bytes(const enum flash_cache_type type) {
    return type == FLASH_CACHE_I8 ? FLASH_BLOCK_TOKENS * (int64_t)sizeof(float) : 0;
}
ALWAYS_INLINE int64_t cache_head_bytes(const struct flash_cache_layer *cache, const enum flash_cache_type type) {
    return FLASH_BLOCK_TOKENS * cache->head_width * cache_element_bytes(type) + cache_scale_bytes(type);
}
ALWAYS_INLINE char *cache_keys(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, int64_t block, int64_t kv_head) {
    return (char *)cache->layer + block * cache->block_stride + kv_head * cache_head_bytes(cache, type);
}
ALWAYS_INLINE const float *cache_scales(
    const char *head, const enum flash_cache_type type, int64_t width) {
    return (const float *)(head + FLASH_BLOCK_TOKENS * width * cache_element_bytes(type));
}

ALWAYS_INLINE vec load_cached(const char *base, int64_t index, const enum flash_cache_type type) {
    if (type == FLASH_CACHE_I8) return vec_load_i8((const int8_t *)base + index);
    return vec_load_element(base, index, type == FLASH_CACHE_F16 ? FLASH_F16 : FLASH_F32);
}
ALWAYS_INLINE vec load_cached_part(const char *base, int64_t index, const enum flash_cache_type type, int64_t count) {
    if (type == FLASH_CACHE_I8) {
        int8_t bytes[LANES] = {0};
        for (int64_t i = 0; i < count; i++) bytes[i] = ((const int8_t *)base)[index + i];
        return vec_load_i8(bytes);
    }
    return vec_load_element_part(base, index, type == FLASH_CACHE_F16 ? FLASH_F16 : FLASH_F32, count);
}

// Where one stretch's keys and values lie, block by block.
struct stretch {
    const char *keys[STRETCH_BLOCKS], *values[STRETCH_BLOCKS];
    int64_t tokens;  // up to STRETCH_TOKENS
    int64_t blocks;
};

ALWAYS_INLINE void stretch_at(
    struct stretch *stretch, const struct flash_cache_layer *cache, const enum flash_cache_type type,
    const struct flash_attention *attention, int64_t start) {
    const int64_t left = attention->end_token - start;
    stretch->tokens = left < STRETCH_TOKENS ? left : STRETCH_TOKENS;
    stretch->blocks = (stretch->tokens + FLASH_BLOCK_TOKENS - 1) / FLASH_BLOCK_TOKENS;
    for (int64_t b = 0; b < stretch->blocks; b++) {
        const int64_t block = attention->block_table[start / FLASH_BLOCK_TOKENS + b];
        stretch->keys[b] = cache_keys(cache, type, block, attention->kv_head);
        stretch->values[b] = stretch->keys[b] + cache->kv_heads * cache_head_bytes(cache, type);
    }
    // Prefetched like the others.
    for (int64_t b = stretch->blocks; b < STRETCH_BLOCKS; b++) {
        stretch->keys[b] = stretch->keys[b - 1];
        stretch->values[b] = stretch->values[b - 1];
    }
}

// sums[q][v] += vector(v) * broadcast(factor(q)). Beside the sums there is no room for all operands: the fewer of them
// are loaded first, the others each in its turn.
#define MULTIPLY_ADD(vector, factor)                                                                                  \
    if (count > vectors) {                                                                                            \
        vec operands[8];                                                                                              \
        UNROLL for (int v = 0; v < vectors; v++) operands[v] = vector;                                                \
        UNROLL for (int q = 0; q < count; q++) {                                                                      \
            const vec operand = vec_broadcast(factor);                                                                \
            UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = vec_fma(operands[v], operand, sums[q][v]);          \
        }                                                                                                             \
    } else {                                                                                                          \
        vec operands[QUERY_BLOCK];                                                                                    \
        UNROLL for (int q = 0; q < count; q++) operands[q] = vec_broadcast(factor);                                   \
        UNROLL for (int v = 0; v < vectors; v++) {                                                                    \
            const vec operand = vector;                                                                               \
            UNROLL for (int q = 0; q < count; q++) sums[q][v] = vec_fma(operand, operands[q], sums[q][v]);            \
        }                                                                                                             \
    }

// scores[q][token] = queries[q] * keys[token] for some blocks. `queries` is `[width, count]`, scaled. The values, which
// come next, are prefetched line by line: a whole block's lines at once would fill the buffers that the loads need.
ALWAYS_INLINE void scores_of_blocks(
    const char *const *keys, const char *const *values, const enum flash_cache_type type, int64_t width,
    const float *queries, float scores[][STRETCH_TOKENS], const int count, const int blocks) {
    const int vectors = blocks * BLOCK_VECTORS;
    vec sums[QUERY_BLOCK][4 * BLOCK_VECTORS];
    UNROLL for (int q = 0; q < count; q++) {
        UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = vec_zero();
    }
    for (int64_t d = 0; d < width; d++) {
        const int64_t place = d * FLASH_BLOCK_TOKENS;
        UNROLL for (int b = 0; b < blocks; b++) __builtin_prefetch(values[b] + place * cache_element_bytes(type));
        MULTIPLY_ADD(
            load_cached(keys[v / BLOCK_VECTORS], place + v % BLOCK_VECTORS * LANES, type), queries[d * count + q])
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        vec scale = vec_zero();
        if (type == FLASH_CACHE_I8)
            scale = vec_load(cache_scales(keys[v / BLOCK_VECTORS], type, width) + v % BLOCK_VECTORS * LANES);
        UNROLL for (int q = 0; q < count; q++) {
            const vec sum = type == FLASH_CACHE_I8 ? vec_mul(sums[q][v], scale) : sums[q][v];
            vec_store(scores[q] + v * LANES, sum);
        }
    }
}

ALWAYS_INLINE void scores_of_stretch(
    const struct stretch *stretch, const enum flash_cache_type type, int64_t width, const float *queries,
    float scores[][STRETCH_TOKENS], const int count) {
    const int step = score_blocks(count);
    int64_t b = 0;
    for (; b + step <= stretch->blocks; b += step) {
        float(*target)[STRETCH_TOKENS] = (float(*)[STRETCH_TOKENS])(scores[0] + b * FLASH_BLOCK_TOKENS);
        scores_of_blocks(stretch->keys + b, stretch->values + b, type, width, queries, target, count, step);
    }
    for (; b < stretch->blocks; b++) {
        float(*target)[STRETCH_TOKENS] = (float(*)[STRETCH_TOKENS])(scores[0] + b * FLASH_BLOCK_TOKENS);
        scores_of_blocks(stretch->keys + b, stretch->values + b, type, width, queries, target, count, 1);
    }
}

// outputs[q][d...] += sum over tokens of weights[q][token] * values[token][d...], some vectors of each output. The next
// stretch's keys are prefetched meanwhile.
ALWAYS_INLINE void add_values(
    const struct stretch *stretch, const enum flash_cache_type type, int64_t width,
    const float weights[][STRETCH_TOKENS], float *const *outputs, int64_t d, const int count, const int vectors,
    const struct stretch *next) {
    vec sums[QUERY_BLOCK][8];
    UNROLL for (int q = 0; q < count; q++) {
        UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = vec_load(outputs[q] + d + v * LANES);
    }
    for (int64_t b = 0; b < stretch->blocks; b++) {
        const int64_t first = b * FLASH_BLOCK_TOKENS, left = stretch->tokens - first;
        const int64_t tokens = left < FLASH_BLOCK_TOKENS ? left : FLASH_BLOCK_TOKENS;
        for (int64_t token = 0; token < tokens; token++) {
            const int64_t place = token * width + d, size = cache_element_bytes(type);
            UNROLL for (int v = 0; v < vectors; v++) {
                if (v * LANES * size % 64 == 0) __builtin_prefetch(next->keys[b] + (place + v * LANES) * size);
            }
            MULTIPLY_ADD(load_cached(stretch->values[b], place + v * LANES, type), weights[q][first + token])
        }
    }
    UNROLL for (int q = 0; q < count; q++) {
        UNROLL for (int v = 0; v < vectors; v++) vec_store(outputs[q] + d + v * LANES, sums[q][v]);
    }
}

ALWAYS_INLINE void values_of_stretch(
    const struct stretch *stretch, const enum flash_cache_type type, int64_t width,
    const float weights[][STRETCH_TOKENS], float *const *outputs, const int count, const struct stretch *next) {
    const int vectors = value_vectors(count);
    int64_t d = 0;
    for (; d + vectors * LANES <= width; d += vectors * LANES)
        add_values(stretch, type, width, weights, outputs, d, count, vectors, next);
    for (; d + LANES <= width; d += LANES) add_values(stretch, type, width, weights, outputs, d, count, 1, next);
    const int64_t part = width - d;
    for (int q = 0; part > 0 && q < count; q++) {
        vec sum = vec_load_part(outputs[q] + d, part);
        for (int64_t token = 0; token < stretch->tokens; token++) {
            const char *values = stretch->values[token / FLASH_BLOCK_TOKENS];
            vec value = load_cached_part(values, token % FLASH_BLOCK_TOKENS * width + d, type, part);
            sum = vec_fma(value, vec_broadcast(weights[q][token]), sum);
        }
        vec_store_part(outputs[q] + d, sum, part);
    }
}

// output *= factor
ALWAYS_INLINE void scale_output(float *output, int64_t width, float factor) {
    const vec factors = vec_broadcast(factor);
    int64_t d = 0;
    for (; d + LANES <= width; d += LANES) vec_store(output + d, vec_mul(vec_load(output + d), factors));
    for (; d < width; d++) output[d] *= factor;
}

// Turns one query's scores into weights and moves its running maximum and sum along. Tokens from `visible` on count
// nothing; their scores may be anything, NaN included. A NaN among the others is not the maximum, but its weight, the
// sum and so the output are NaN.
ALWAYS_INLINE void softmax_of_stretch(
    const struct stretch *stretch, const enum flash_cache_type type, int64_t width, float *scores, int64_t visible,
    float *output, float *maximum, float *sum) {
    const int64_t end = stretch->blocks * FLASH_BLOCK_TOKENS;
    if (visible <= 0) {
        for (int64_t i = 0; i < end; i += LANES) vec_store(scores + i, vec_zero());
        return;
    }
    for (int64_t i = visible; i < end; i++) scores[i] = -INFINITY;
    vec maxima = vec_broadcast(*maximum);
    for (int64_t i = 0; i < end; i += LANES) maxima = vec_max(vec_load(scores + i), maxima);
    const float largest = vec_max_lane(maxima);
    if (largest > *maximum) {
        if (*maximum > -INFINITY) {
            const float factor = expf(*maximum - largest);
            *sum *= factor;
            scale_output(output, width, factor);
        }
        *maximum = largest;
    }
    const vec shift = vec_broadcast(largest);
    vec total = vec_zero();
    for (int64_t i = 0; i < end; i += LANES) {
        vec weight = vec_exp(vec_sub(vec_load(scores + i), shift));
        total = vec_add(total, weight);
        // The values' scales move into the weights. Behind the last token they may be anything, and are not read.
        if (type == FLASH_CACHE_I8) {
            const float *scales = cache_scales(stretch->values[i / FLASH_BLOCK_TOKENS], type, width);
            weight = vec_mul(weight, vec_load(scales + i % FLASH_BLOCK_TOKENS));
        }
        vec_store(scores + i, weight);
    }
    *sum += vec_sum(total);
}

// One block of queries over one stretch.
ALWAYS_INLINE void attend_stretch(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const struct stretch *stretch,
    const struct stretch *next, const float *queries, const int64_t *visible, float *const *outputs, float *maxima,
    float *sums, const int count) {
    float scores[QUERY_BLOCK][STRETCH_TOKENS];
    const int64_t width = cache->head_width;
    scores_of_stretch(stretch, type, width, queries, scores, count);
    for (int q = 0; q < count; q++)
        softmax_of_stretch(stretch, type, width, scores[q], visible[q], outputs[q], &maxima[q], &sums[q]);
    values_of_stretch(stretch, type, width, scores, outputs, count, next);
}

// Block sizes that have code of their own; others are filled up with queries of zeros.
ALWAYS_INLINE int64_t padded_queries(int64_t count) {
    const int64_t padded = count <= 4 ? count : count <= 6 ? 6 : count <= 8 ? 8 : 12;
    return padded < QUERY_BLOCK ? padded : QUERY_BLOCK;
}

#define STRETCH_CASE(n)                                                                                              \
    case n:                                                                                                          \
        attend_stretch(                                                                                              \
            cache, type, &stretches[at], next, queries, visible, block_outputs, maxima + first, sums + first, n);    \
        break;

ALWAYS_INLINE void attend_cached(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const struct flash_attention *attention) {
    const int64_t width = cache->head_width, query_count = attention->query_count;
    const int64_t blocks = (query_count + QUERY_BLOCK - 1) / QUERY_BLOCK;
    const int64_t count = padded_queries((query_count + blocks - 1) / blocks), padded_count = blocks * count;
    float *outputs[FLASH_ATTENTION_QUERIES + QUERY_BLOCK];
    float maxima[FLASH_ATTENTION_QUERIES + QUERY_BLOCK], sums[FLASH_ATTENTION_QUERIES + QUERY_BLOCK];
    // `[blocks, width, count]`, and behind them an output for the queries that fill up the last block.
    float *packed = attention->scratch, *spare = packed + padded_count * width;
    for (int64_t i = 0; i < padded_count; i++) {
        float *target = packed + i / count * count * width + i % count;
        for (int64_t d = 0; d < width; d++)
            target[d * count] = i < query_count ? attention->queries[i][d] * attention->scale : 0;
        outputs[i] = i < query_count ? attention->outputs[i] : spare;
        maxima[i] = -INFINITY;
        sums[i] = 0;
        for (int64_t d = 0; d < width; d++) outputs[i][d] = 0;
    }
    struct stretch stretches[2];
    stretch_at(&stretches[0], cache, type, attention, attention->first_token);
    int at = 0;
    for (int64_t start = attention->first_token; start < attention->end_token; start += STRETCH_TOKENS, at ^= 1) {
        const struct stretch *next = &stretches[at];
        if (start + STRETCH_TOKENS < attention->end_token) {
            stretch_at(&stretches[at ^ 1], cache, type, attention, start + STRETCH_TOKENS);
            next = &stretches[at ^ 1];
        }
        for (int64_t block = 0; block < blocks; block++) {
            const int64_t first = block * count;
            const float *queries = packed + first * width;
            float *const *block_outputs = outputs + first;
            int64_t visible[QUERY_BLOCK];
            for (int64_t q = 0; q < count; q++) {
                const int64_t seen = first + q < query_count ? attention->lengths[first + q] - start : 0;
                visible[q] = seen < stretches[at].tokens ? seen : stretches[at].tokens;
            }
            switch (count) {
                STRETCH_CASE(1)
                STRETCH_CASE(2)
                STRETCH_CASE(3)
#if QUERY_BLOCK >= 6
                STRETCH_CASE(4)
                STRETCH_CASE(6)
#endif
#if QUERY_BLOCK >= 12
                STRETCH_CASE(8)
                STRETCH_CASE(12)
#endif
            }
        }
    }
    for (int64_t i = 0; i < query_count; i++) {
        if (attention->is_part) {
            outputs[i][width] = maxima[i];
            outputs[i][width + 1] = sums[i];
        } else {
            scale_output(outputs[i], width, 1 / sums[i]);
        }
    }
}

static void attend(const struct flash_cache_layer *cache, const struct flash_attention *attention) {
    switch (cache->type) {
        case FLASH_CACHE_F32: attend_cached(cache, FLASH_CACHE_F32, attention); break;
        case FLASH_CACHE_F16: attend_cached(cache, FLASH_CACHE_F16, attention); break;
        case FLASH_CACHE_I8: attend_cached(cache, FLASH_CACHE_I8, attention); break;
    }
}

static void join_attention(const float *parts, int64_t stride, int64_t part_count, int64_t width, float *output) {
    float largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < part_count; i++) {
        const float maximum = parts[i * stride + width];
        if (maximum > largest) largest = maximum;
    }
    for (int64_t d = 0; d < width; d++) output[d] = 0;
    for (int64_t i = 0; i < part_count; i++) {
        const float *part = parts + i * stride;
        const float factor = expf(part[width] - largest);
        sum += part[width + 1] * factor;
        const vec factors = vec_broadcast(factor);
        int64_t d = 0;
        for (; d + LANES <= width; d += LANES)
            vec_store(output + d, vec_fma(vec_load(part + d), factors, vec_load(output + d)));
        for (; d < width; d++) output[d] += part[d] * factor;
    }
    scale_output(output, width, 1 / sum);
}

// Stores one head's elements at a distance of `stride`; the scale is for int8 alone.
ALWAYS_INLINE void store_cached(
    char *target, const enum flash_cache_type type, int64_t stride, const float *elements, int64_t width,
    float *scale) {
    if (type == FLASH_CACHE_F32) {
        for (int64_t i = 0; i < width; i++) ((float *)target)[i * stride] = elements[i];
        return;
    }
    float factor = 1;
    if (type == FLASH_CACHE_I8) {
        float magnitude = 0, check = 0;
        for (int64_t i = 0; i < width; i++) {
            const float x = fabsf(elements[i]);
            if (x > magnitude) magnitude = x;
            check += elements[i] * 0;  // NaN if there is a NaN or an infinity
        }
        // So that broken values show. Below 1e-35 the factor would overflow.
        *scale = check == 0 ? (magnitude >= 1e-35f ? magnitude / 127 : 0) : NAN;
        factor = *scale > 0 ? 127 / magnitude : 0;
    }
    for (int64_t i = 0; i < width; i += LANES) {
        const int64_t part = width - i < LANES ? width - i : LANES;
        const vec x = load_up_to(elements + i, part);
        if (type == FLASH_CACHE_F16) {
            uint16_t bits[LANES];
            vec_store_f16(bits, x);
            for (int64_t lane = 0; lane < part; lane++) ((uint16_t *)target)[(i + lane) * stride] = bits[lane];
        } else {
            int8_t bytes[LANES] = {0};
            if (factor > 0) vec_store_i8(bytes, vec_round(vec_mul(x, vec_broadcast(factor))));
            for (int64_t lane = 0; lane < part; lane++) ((int8_t *)target)[(i + lane) * stride] = bytes[lane];
        }
    }
}

ALWAYS_INLINE void append_cached(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, int64_t block, int64_t slot,
    const float *keys, const float *values) {
    const int64_t width = cache->head_width, size = cache_element_bytes(type);
    for (int64_t head = 0; head < cache->kv_heads; head++) {
        char *key = cache_keys(cache, type, block, head);
        char *value = key + cache->kv_heads * cache_head_bytes(cache, type);
        store_cached(
            key + slot * size, type, FLASH_BLOCK_TOKENS, keys + head * width, width,
            (float *)cache_scales(key, type, width) + slot);
        store_cached(
            value + slot * width * size, type, 1, values + head * width, width,
            (float *)cache_scales(value, type, width) + slot);
    }
}

static void append(
    const struct flash_cache_layer *cache, int64_t block, int64_t slot, const float *keys, const float *values) {
    switch (cache->type) {
        case FLASH_CACHE_F32: append_cached(cache, FLASH_CACHE_F32, block, slot, keys, values); break;
        case FLASH_CACHE_F16: append_cached(cache, FLASH_CACHE_F16, block, slot, keys, values); break;
        case FLASH_CACHE_I8: append_cached(cache, FLASH_CACHE_I8, block, slot, keys, values); break;
    }
}
