// Attention over the blocked cache with an online softmax (Milakov, Gimelshein, arXiv:1805.02867): scores live only for
// the 16 tokens of one block, and the output is rescaled when the running maximum moves.

#define SCORE_PARTS (FLASH_BLOCK_TOKENS / LANES)
// Vectors of one output that stay in registers while a block's tokens pass.
#define OUTPUT_PARTS (LANES == 16 ? 4 : 2)

ALWAYS_INLINE int64_t cache_head_offset(const struct flash_cache_layer *cache, int64_t block, int64_t kv_head) {
    return block * cache->block_stride + kv_head * cache->head_width * FLASH_BLOCK_TOKENS;
}

ALWAYS_INLINE void attention_scores(
    const void *keys, int64_t first, const enum flash_element element, int64_t width, const float *const *queries,
    float scores[][FLASH_BLOCK_TOKENS], const int count) {
    vec sums[FLASH_ATTENTION_QUERIES][SCORE_PARTS];
    UNROLL for (int q = 0; q < count; q++) {
        UNROLL for (int p = 0; p < SCORE_PARTS; p++) sums[q][p] = vec_zero();
    }
    for (int64_t d = 0; d < width; d++) {
        vec key[SCORE_PARTS];
        UNROLL for (int p = 0; p < SCORE_PARTS; p++)
            key[p] = vec_load_element(keys, first + d * FLASH_BLOCK_TOKENS + p * LANES, element);
        UNROLL for (int q = 0; q < count; q++) {
            vec query = vec_broadcast(queries[q][d]);
            UNROLL for (int p = 0; p < SCORE_PARTS; p++) sums[q][p] = vec_fma(key[p], query, sums[q][p]);
        }
    }
    UNROLL for (int q = 0; q < count; q++) {
        UNROLL for (int p = 0; p < SCORE_PARTS; p++) vec_store(scores[q] + p * LANES, sums[q][p]);
    }
}

// outputs[q] += sum over tokens of weights[q][token] * values[token]
ALWAYS_INLINE void attention_values(
    const void *values, int64_t first, const enum flash_element element, int64_t width,
    const float weights[][FLASH_BLOCK_TOKENS], int64_t tokens, float *const *outputs, const int count) {
    int64_t d = 0;
    for (; d + OUTPUT_PARTS * LANES <= width; d += OUTPUT_PARTS * LANES) {
        vec sums[FLASH_ATTENTION_QUERIES][OUTPUT_PARTS];
        UNROLL for (int q = 0; q < count; q++) {
            UNROLL for (int p = 0; p < OUTPUT_PARTS; p++) sums[q][p] = vec_load(outputs[q] + d + p * LANES);
        }
        for (int64_t token = 0; token < tokens; token++) {
            vec value[OUTPUT_PARTS];
            UNROLL for (int p = 0; p < OUTPUT_PARTS; p++)
                value[p] = vec_load_element(values, first + token * width + d + p * LANES, element);
            UNROLL for (int q = 0; q < count; q++) {
                vec weight = vec_broadcast(weights[q][token]);
                UNROLL for (int p = 0; p < OUTPUT_PARTS; p++) sums[q][p] = vec_fma(value[p], weight, sums[q][p]);
            }
        }
        UNROLL for (int q = 0; q < count; q++) {
            UNROLL for (int p = 0; p < OUTPUT_PARTS; p++) vec_store(outputs[q] + d + p * LANES, sums[q][p]);
        }
    }
    for (; d < width; d += LANES) {
        const int64_t part = width - d < LANES ? width - d : LANES;
        UNROLL for (int q = 0; q < count; q++) {
            vec sum = vec_load_part(outputs[q] + d, part);
            for (int64_t token = 0; token < tokens; token++) {
                vec value = vec_load_element_part(values, first + token * width + d, element, part);
                sum = vec_fma(value, vec_broadcast(weights[q][token]), sum);
            }
            vec_store_part(outputs[q] + d, sum, part);
        }
    }
}

// Turns one block's scores into weights and moves the running maximum and sum along. Tokens from `visible` on count
// nothing; their scores may be anything, NaN included.
static void softmax_step(
    float scores[FLASH_BLOCK_TOKENS], int64_t visible, float scale, float *maximum, float *sum, float *output,
    int64_t width) {
    float largest = *maximum;
    for (int64_t i = 0; i < visible; i++) {
        scores[i] *= scale;
        // Written so that a NaN score becomes the maximum and shows in the output.
        if (!(scores[i] <= largest)) largest = scores[i];
    }
    for (int64_t i = visible; i < FLASH_BLOCK_TOKENS; i++) scores[i] = -INFINITY;
    if (largest != *maximum) {
        float factor = *sum > 0 ? expf(*maximum - largest) : 0;
        *sum *= factor;
        for (int64_t d = 0; d < width; d++) output[d] *= factor;
        *maximum = largest;
    }
    vec shift = vec_broadcast(largest), total = vec_zero();
    UNROLL for (int p = 0; p < SCORE_PARTS; p++) {
        vec weight = vec_exp(vec_sub(vec_load(scores + p * LANES), shift));
        vec_store(scores + p * LANES, weight);
        total = vec_add(total, weight);
    }
    *sum += vec_sum(total);
}

ALWAYS_INLINE void attend_queries(
    const struct flash_cache_layer *cache, const enum flash_element element, const int32_t *block_table,
    int64_t kv_head, float scale, const float *const *queries, const int64_t *lengths, float *const *outputs,
    const int count) {
    const int64_t width = cache->head_width;
    const int64_t values_offset = cache->kv_heads * width * FLASH_BLOCK_TOKENS;
    float maxima[FLASH_ATTENTION_QUERIES], sums[FLASH_ATTENTION_QUERIES];
    float scores[FLASH_ATTENTION_QUERIES][FLASH_BLOCK_TOKENS];
    int64_t longest = 0;
    UNROLL for (int q = 0; q < count; q++) {
        maxima[q] = -INFINITY;
        sums[q] = 0;
        if (lengths[q] > longest) longest = lengths[q];
        for (int64_t d = 0; d < width; d++) outputs[q][d] = 0;
    }
    for (int64_t start = 0; start < longest; start += FLASH_BLOCK_TOKENS) {
        const int64_t first = cache_head_offset(cache, block_table[start / FLASH_BLOCK_TOKENS], kv_head);
        const int64_t tokens = longest - start < FLASH_BLOCK_TOKENS ? longest - start : FLASH_BLOCK_TOKENS;
        attention_scores(cache->layer, first, element, width, queries, scores, count);
        for (int q = 0; q < count; q++) {
            int64_t visible = lengths[q] - start;
            if (visible <= 0) {
                for (int64_t i = 0; i < FLASH_BLOCK_TOKENS; i++) scores[q][i] = 0;
                continue;
            }
            if (visible > FLASH_BLOCK_TOKENS) visible = FLASH_BLOCK_TOKENS;
            softmax_step(scores[q], visible, scale, &maxima[q], &sums[q], outputs[q], width);
        }
        attention_values(cache->layer, first + values_offset, element, width, scores, tokens, outputs, count);
    }
    UNROLL for (int q = 0; q < count; q++) {
        const float normalizer = 1 / sums[q];
        for (int64_t d = 0; d < width; d++) outputs[q][d] *= normalizer;
    }
}

#define ATTEND_CASE(n)                                                                                      \
    case n: attend_queries(cache, element, block_table, kv_head, scale, queries, lengths, outputs, n); break;

ALWAYS_INLINE void attend_element(
    const struct flash_cache_layer *cache, const enum flash_element element, const int32_t *block_table,
    int64_t kv_head, float scale, int64_t query_count, const float *const *queries, const int64_t *lengths,
    float *const *outputs) {
    switch (query_count) { ATTEND_CASE(1) ATTEND_CASE(2) ATTEND_CASE(3) ATTEND_CASE(4) }
}

static void attend(
    const struct flash_cache_layer *cache, const int32_t *block_table, int64_t kv_head, float scale,
    int64_t query_count, const float *const *queries, const int64_t *lengths, float *const *outputs) {
    if (cache->element == FLASH_F16) {
        attend_element(cache, FLASH_F16, block_table, kv_head, scale, query_count, queries, lengths, outputs);
    } else {
        attend_element(cache, FLASH_F32, block_table, kv_head, scale, query_count, queries, lengths, outputs);
    }
}

// float32 to the cache's type, `count` elements at a distance of `stride`.
ALWAYS_INLINE void store_cached(
    const struct flash_cache_layer *cache, int64_t first, int64_t stride, const float *elements, int64_t count) {
    if (cache->element == FLASH_F32) {
        for (int64_t i = 0; i < count; i++) ((float *)cache->layer)[first + i * stride] = elements[i];
        return;
    }
    uint16_t *target = (uint16_t *)cache->layer + first;
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) {
        uint16_t bits[LANES];
        vec_store_f16(bits, vec_load(elements + i));
        for (int64_t lane = 0; lane < LANES; lane++) target[(i + lane) * stride] = bits[lane];
    }
    for (; i < count; i++) target[i * stride] = flash_narrow_f16(elements[i]);
}

static void append(
    const struct flash_cache_layer *cache, int64_t block, int64_t slot, const float *keys, const float *values) {
    const int64_t width = cache->head_width;
    const int64_t values_offset = cache->kv_heads * width * FLASH_BLOCK_TOKENS;
    for (int64_t head = 0; head < cache->kv_heads; head++) {
        const int64_t first = cache_head_offset(cache, block, head);
        store_cached(cache, first + slot, FLASH_BLOCK_TOKENS, keys + head * width, width);
        store_cached(cache, first + values_offset + slot * width, 1, values + head * width, width);
    }
}
