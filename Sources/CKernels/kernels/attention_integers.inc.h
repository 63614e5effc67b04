// Scores and weighted values over an int8 cache, in integers: keys and values become 16-bit words, queries and weights
// are rounded to 16 bits, and products are added up in pairs, exactly, in 32. That takes half the instructions that
// float32 would, and none to convert.

// The largest integer of a query of this width: its sum of products with -127...127 stays below 2^31.
ALWAYS_INLINE float largest_query_integer(int64_t width) {
    const int64_t most = INT32_MAX / (127 * width);
    return most < 32767 ? (float)most : 32767;
}

// One query times `scale` as pairs of integers, `stride` pairs apart; returns their scale. A NaN or an infinity makes
// the scale NaN, a query below 1e-35 makes it 0.
ALWAYS_INLINE float round_query(
    const float *query, float scale, int64_t width, int64_t stride, int16_t *integers) {
    float magnitude = 0, check = 0;
    for (int64_t d = 0; d < width; d++) {
        const float x = fabsf(query[d] * scale);
        if (x > magnitude) magnitude = x;
        check += x * 0;
    }
    const float largest = largest_query_integer(width);
    const float factor = check == 0 && magnitude >= 1e-35f ? largest / magnitude : 0;
    for (int64_t d = 0; d < (width + 1) / 2 * 2; d++) {
        const float x = d < width && factor > 0 ? query[d] * scale * factor : 0;
        integers[d / 2 * 2 * stride + d % 2] = (int16_t)rintf(x);
    }
    return factor > 0 ? magnitude / largest : check * 0;
}

// One query's weights as integers; returns their scale, NaN if one of them is NaN or infinite. At most half a step of
// the largest weight in 32767 is lost of each.
ALWAYS_INLINE float round_weights_of_stretch(const float *weights, int64_t tokens, int16_t *integers) {
    vec maxima = vec_zero(), check = vec_zero();
    for (int64_t i = 0; i < tokens; i += LANES) {
        const vec weight = vec_load(weights + i);
        maxima = vec_max(weight, maxima);
        check = vec_fma(weight, vec_zero(), check);
    }
    const float magnitude = vec_max_lane(maxima), sum = vec_sum(check);
    const float factor = sum == 0 && magnitude >= 1e-35f ? 32767 / magnitude : 0;
    for (int64_t i = 0; i < tokens; i += LANES) {
        // The maximum of NaN and 0 is 0.
        const vec weight = vec_max(vec_mul(vec_load(weights + i), vec_broadcast(factor)), vec_zero());
        vec_store_i16(integers + i, vec_round(weight));
    }
    return factor > 0 ? magnitude / 32767 : sum;
}

// As scores_of_blocks. `queries` is `[pairs, count]`, pairs of integers. Two or four sums for each score, so that no
// product waits for the one before it: they are exact, so their order does not matter.
ALWAYS_INLINE void integer_scores_of_blocks(
    const struct flash_cache_layer *cache, const char *const *keys, const char *const *values,
    const struct query_block *block, float scores[][STRETCH_TOKENS], const int count, const int blocks) {
    const int vectors = blocks * BLOCK_VECTORS;
    const int steps = count * vectors <= 2 ? 4 : count * vectors <= 6 ? 2 : 1;
    const int64_t pairs = cache_width(cache, FLASH_CACHE_I8) / 2;
    const int16_t *queries = block->queries;
    ivec sums[4][QUERY_BLOCK][2 * BLOCK_VECTORS];
    UNROLL for (int s = 0; s < steps; s++) {
        UNROLL for (int q = 0; q < count; q++) {
            UNROLL for (int v = 0; v < vectors; v++) sums[s][q][v] = ivec_zero();
        }
    }
#define ADD_PAIR(pair, s)                                                                                             \
    {                                                                                                                 \
        const int64_t place = (pair) * 2 * FLASH_BLOCK_TOKENS;                                                        \
        ivec operands[2 * BLOCK_VECTORS];                                                                             \
        UNROLL for (int v = 0; v < vectors; v++) operands[v] = ivec_words_from_i8(                                    \
            (const int8_t *)keys[v / BLOCK_VECTORS] + place + v % BLOCK_VECTORS * 2 * LANES);                         \
        UNROLL for (int q = 0; q < count; q++) {                                                                      \
            const ivec query = ivec_load_broadcast((const uint8_t *)(queries + ((pair) * count + q) * 2));            \
            UNROLL for (int v = 0; v < vectors; v++) sums[s][q][v] = dot_i16(sums[s][q][v], operands[v], query);      \
        }                                                                                                             \
        if (place % 64 == 0) {                                                                                        \
            UNROLL for (int b = 0; b < blocks; b++) PREFETCH(values[b] + place);                                      \
        }                                                                                                             \
    }
    int64_t pair = 0;
    for (; pair + steps <= pairs; pair += steps) {
        UNROLL for (int s = 0; s < steps; s++) ADD_PAIR(pair + s, s)
    }
    for (; pair < pairs; pair++) ADD_PAIR(pair, 0)
#undef ADD_PAIR
    UNROLL for (int b = 0; b < blocks; b++) PREFETCH(cache_scales(cache, values[b]));
    UNROLL for (int v = 0; v < vectors; v++) {
        const vec scale = vec_load(cache_scales(cache, keys[v / BLOCK_VECTORS]) + v % BLOCK_VECTORS * LANES);
        UNROLL for (int q = 0; q < count; q++) {
            ivec sum = sums[0][q][v];
            UNROLL for (int s = 1; s < steps; s++) sum = ivec_add(sum, sums[s][q][v]);
            const vec both = vec_mul(scale, vec_broadcast(block->query_scales[q]));
            vec_store(scores[q] + v * LANES, vec_mul(vec_from_ivec(sum), both));
        }
    }
}

ALWAYS_INLINE ivec load_words_part(const int8_t *words, int64_t columns) {
    int8_t part[2 * LANES] = {0};
    for (int64_t i = 0; i < 2 * columns; i++) part[i] = words[i];
    return ivec_words_from_i8(part);
}

// As add_values, for weights that are integers with a scale for each query. `columns` are fewer than a vector's in a
// head's last one alone.
ALWAYS_INLINE void add_integer_values(
    const struct flash_cache_layer *cache, const struct stretch *stretch, const struct query_block *block,
    const int16_t weights[][STRETCH_TOKENS], const float *weight_scales, int64_t d, int64_t columns,
    const int count, const int vectors, const struct stretch *next) {
    const int64_t width = cache_width(cache, FLASH_CACHE_I8);
    ivec sums[QUERY_BLOCK][8];
    UNROLL for (int q = 0; q < count; q++) {
        UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = ivec_zero();
    }
    for (int64_t b = 0; b < stretch->blocks; b++) {
        const int8_t *values = (const int8_t *)stretch->values[b];
        const int64_t first = b * FLASH_BLOCK_TOKENS, left = stretch->tokens - first;
        const int64_t tokens = left < FLASH_BLOCK_TOKENS ? left : FLASH_BLOCK_TOKENS;
        PREFETCH(cache_scales(cache, next->keys[b]));
        // A token's partner behind the end may be anything: its weight is 0.
        for (int64_t token = 0; token < tokens; token += 2) {
            const int64_t place = token * width + 2 * d;
            ivec operands[8];
            UNROLL for (int v = 0; v < vectors; v++) {
                const int8_t *words = values + place + v * 2 * LANES;
                if (v * 2 * LANES % 64 == 0) PREFETCH(next->keys[b] + place + v * 2 * LANES);
                operands[v] = columns < LANES ? load_words_part(words, columns) : ivec_words_from_i8(words);
            }
            UNROLL for (int q = 0; q < count; q++) {
                const ivec weight = ivec_load_broadcast((const uint8_t *)(weights[q] + first + token));
                UNROLL for (int v = 0; v < vectors; v++) sums[q][v] = dot_i16(sums[q][v], operands[v], weight);
            }
        }
    }
    UNROLL for (int q = 0; q < count; q++) {
        const vec scale = vec_broadcast(weight_scales[q]);
        UNROLL for (int v = 0; v < vectors; v++) {
            float *output = block->outputs[q] + d + v * LANES;
            store_up_to(output, vec_fma(vec_from_ivec(sums[q][v]), scale, load_up_to(output, columns)), columns);
        }
    }
}

ALWAYS_INLINE void integer_values_of_stretch(
    const struct flash_cache_layer *cache, const struct stretch *stretch, const struct query_block *block,
    const float weights[][STRETCH_TOKENS], const int count, const struct stretch *next) {
    int16_t integers[QUERY_BLOCK][STRETCH_TOKENS];
    float scales[QUERY_BLOCK];
    for (int q = 0; q < count; q++)
        scales[q] = round_weights_of_stretch(weights[q], stretch->blocks * FLASH_BLOCK_TOKENS, integers[q]);
    const int vectors = value_vectors(count);
    int64_t d = 0;
    const int64_t width = cache->head_width;
    for (; d + vectors * LANES <= width; d += vectors * LANES)
        add_integer_values(cache, stretch, block, integers, scales, d, LANES, count, vectors, next);
    for (; d + LANES <= width; d += LANES)
        add_integer_values(cache, stretch, block, integers, scales, d, LANES, count, 1, next);
    if (d < width) add_integer_values(cache, stretch, block, integers, scales, d, width - d, count, 1, next);
}
