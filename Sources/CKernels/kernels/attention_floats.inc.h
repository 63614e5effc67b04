// Scores and weighted values over a cache of f32 or f16, in float32.

ALWAYS_INLINE vec load_cached(const char *base, int64_t index, const enum flash_cache_type type) {
    return vec_load_element(base, index, type == FLASH_CACHE_F16 ? FLASH_F16 : FLASH_F32);
}
ALWAYS_INLINE vec load_cached_part(const char *base, int64_t index, const enum flash_cache_type type, int64_t count) {
    return vec_load_element_part(base, index, type == FLASH_CACHE_F16 ? FLASH_F16 : FLASH_F32, count);
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
        if (place * cache_element_bytes(type) % 64 == 0) {
            UNROLL for (int b = 0; b < blocks; b++) PREFETCH(values[b] + place * cache_element_bytes(type));
        }
        MULTIPLY_ADD(
            load_cached(keys[v / BLOCK_VECTORS], place + v % BLOCK_VECTORS * LANES, type), queries[d * count + q])
    }
    UNROLL for (int v = 0; v < vectors; v++) {
        UNROLL for (int q = 0; q < count; q++) vec_store(scores[q] + v * LANES, sums[q][v]);
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
                if (v * LANES * size % 64 == 0) PREFETCH(next->keys[b] + (place + v * LANES) * size);
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

