// Attention over the blocked cache with an online softmax (Milakov, Gimelshein, arXiv:1805.02867), a stretch of blocks
// at a time: scores of the stretch, their softmax against the running maximum, weighted values. A stretch is long
// enough that the softmax's horizontal sums and rescaling cost little, short enough that its keys and values (f16: 16
// KiB each at 64 elements a head) are still in cache for the next block of queries.

ALWAYS_INLINE void scores_of_stretch(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const struct stretch *stretch,
    const struct query_block *block, float scores[][STRETCH_TOKENS], const int count) {
#define SCORES_OF_BLOCKS(blocks)                                                                                      \
    {                                                                                                                 \
        const char *const *keys = stretch->keys + b, *const *values = stretch->values + b;                            \
        float(*target)[STRETCH_TOKENS] = (float(*)[STRETCH_TOKENS])(scores[0] + b * FLASH_BLOCK_TOKENS);              \
        if (type == FLASH_CACHE_I8)                                                                                   \
            integer_scores_of_blocks(cache, keys, values, block, target, count, blocks);                              \
        else                                                                                                          \
            scores_of_blocks(keys, values, type, cache->head_width, block->queries, target, count, blocks);           \
    }
    const int step = score_blocks(count);
    int64_t b = 0;
    for (; b + step <= stretch->blocks; b += step) SCORES_OF_BLOCKS(step)
    for (; b < stretch->blocks; b++) SCORES_OF_BLOCKS(1)
#undef SCORES_OF_BLOCKS
}

// output *= factor
ALWAYS_INLINE void scale_output(float *output, int64_t width, float factor) {
    const vec factors = vec_broadcast(factor);
    int64_t d = 0;
    for (; d + LANES <= width; d += LANES) vec_store(output + d, vec_mul(vec_load(output + d), factors));
    for (; d < width; d++) output[d] *= factor;
}

// Turns one query's scores into weights and moves its running maximum and sum along. Tokens before `skipped` and from
// `visible` on count nothing; their scores may be anything, NaN included. A NaN among the others is not the maximum,
// but its weight, the sum and so the output are NaN.
ALWAYS_INLINE void softmax_of_stretch(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const struct stretch *stretch,
    float *scores, int64_t skipped, int64_t visible, float *output, float *maximum, float *sum) {
    const int64_t end = stretch->blocks * FLASH_BLOCK_TOKENS;
    if (visible <= 0 || skipped >= visible) {
        for (int64_t i = 0; i < end; i += LANES) vec_store(scores + i, vec_zero());
        return;
    }
    for (int64_t i = 0; i < skipped; i++) scores[i] = -INFINITY;
    for (int64_t i = visible; i < end; i++) scores[i] = -INFINITY;
    vec maxima = vec_broadcast(*maximum);
    for (int64_t i = 0; i < end; i += LANES) maxima = vec_max(vec_load(scores + i), maxima);
    const float largest = vec_max_lane(maxima);
    if (largest > *maximum) {
        if (*maximum > -INFINITY) {
            const float factor = expf(*maximum - largest);
            *sum *= factor;
            scale_output(output, cache->head_width, factor);
        }
        *maximum = largest;
    }
    const vec shift = vec_broadcast(largest);
    vec total = vec_zero();
    for (int64_t i = 0; i < end; i += LANES) {
        vec weight = vec_exp(vec_sub(vec_load(scores + i), shift));
        total = vec_add(total, weight);
        // The values' scales move into the weights.
        if (type == FLASH_CACHE_I8) {
            const float *scales = cache_scales(cache, stretch->values[i / FLASH_BLOCK_TOKENS]);
            weight = vec_mul(weight, vec_load(scales + i % FLASH_BLOCK_TOKENS));
        }
        vec_store(scores + i, weight);
    }
    // Behind the last token the scales may be anything.
    for (int64_t i = visible; type == FLASH_CACHE_I8 && i < end; i++) scores[i] = 0;
    *sum += vec_sum(total);
}

// One block of queries over one stretch.
ALWAYS_INLINE void attend_stretch(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const struct stretch *stretch,
    const struct stretch *next, const struct query_block *block, const int count) {
    float scores[QUERY_BLOCK][STRETCH_TOKENS];
    scores_of_stretch(cache, type, stretch, block, scores, count);
    if (block->cap > 0)
        for (int q = 0; q < count; q++) soft_cap(scores[q], stretch->blocks * FLASH_BLOCK_TOKENS, block->cap);
    for (int q = 0; q < count; q++)
        softmax_of_stretch(
            cache, type, stretch, scores[q], block->skipped[q], block->visible[q], block->outputs[q],
            &block->maxima[q], &block->sums[q]);
    if (type == FLASH_CACHE_I8)
        integer_values_of_stretch(cache, stretch, block, scores, count, next);
    else
        values_of_stretch(stretch, type, cache->head_width, scores, block->outputs, count, next);
}

// Block sizes that have code of their own; others are filled up with queries of zeros.
ALWAYS_INLINE int64_t padded_queries(int64_t count) {
    const int64_t padded = count <= 4 ? count : count <= 6 ? 6 : count <= 8 ? 8 : 12;
    return padded < QUERY_BLOCK ? padded : QUERY_BLOCK;
}

// The call's queries, block by block in scratch memory; those that fill up the last block are zeros.
ALWAYS_INLINE void pack_queries(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const struct flash_attention *attention,
    int64_t count, int64_t padded_count, float *scales) {
    const int64_t width = cache->head_width;
    const float *zeros = (const float *)attention->scratch + padded_count * width;
    for (int64_t i = 0; i < padded_count; i++) {
        const float *query = i < attention->query_count ? attention->queries[i] : zeros;
        if (type == FLASH_CACHE_I8) {
            const int64_t pairs = cache_width(cache, type) / 2;
            int16_t *target = (int16_t *)attention->scratch + (i / count * count * pairs + i % count) * 2;
            scales[i] = round_query(query, attention->scale, width, count, target);
        } else {
            float *target = (float *)attention->scratch + i / count * count * width + i % count;
            for (int64_t d = 0; d < width; d++) target[d * count] = query[d] * attention->scale;
        }
    }
}

#define STRETCH_CASE(n)                                                                                              \
    case n: attend_stretch(cache, type, &stretches[at], next, &queries, n); break;

ALWAYS_INLINE void attend_cached(
    const struct flash_cache_layer *cache, const enum flash_cache_type type, const struct flash_attention *attention) {
    const int64_t width = cache->head_width, query_count = attention->query_count;
    const int64_t blocks = (query_count + QUERY_BLOCK - 1) / QUERY_BLOCK;
    const int64_t count = padded_queries((query_count + blocks - 1) / blocks), padded_count = blocks * count;
    float *outputs[FLASH_ATTENTION_QUERIES + QUERY_BLOCK];
    float maxima[FLASH_ATTENTION_QUERIES + QUERY_BLOCK], sums[FLASH_ATTENTION_QUERIES + QUERY_BLOCK];
    float scales[FLASH_ATTENTION_QUERIES + QUERY_BLOCK];
    // Behind the packed queries an output for those that fill up the last block.
    float *spare = (float *)attention->scratch + padded_count * width;
    for (int64_t i = 0; i < padded_count; i++) {
        outputs[i] = i < query_count ? attention->outputs[i] : spare;
        maxima[i] = -INFINITY;
        sums[i] = 0;
        for (int64_t d = 0; d < width; d++) outputs[i][d] = 0;
    }
    for (int64_t d = 0; d < width; d++) spare[d] = 0;
    pack_queries(cache, type, attention, count, padded_count, scales);
    struct stretch stretches[2];
    const int64_t begin = attention->first_token, end = attention->end_token;
    stretch_at(&stretches[0], cache, type, attention->block_table, attention->kv_head, begin, end);
    int at = 0;
    for (int64_t start = begin; start < end; start += stretch_tokens(type), at ^= 1) {
        const struct stretch *next =
            next_stretch(&stretches[at ^ 1], &stretches[at], cache, type, attention, start);
        for (int64_t first = 0; first < padded_count; first += count) {
            int64_t skipped[QUERY_BLOCK], visible[QUERY_BLOCK];
            for (int64_t q = 0; q < count; q++) {
                const int64_t seen = first + q < query_count ? attention->lengths[first + q] - start : 0;
                visible[q] = seen < stretches[at].tokens ? seen : stretches[at].tokens;
                skipped[q] = attention->starts && first + q < query_count ? attention->starts[first + q] - start : 0;
            }
            const int64_t query_bytes = cache_width(cache, type) * (type == FLASH_CACHE_I8 ? 2 : 4);
            const struct query_block queries = {
                .queries = (const char *)attention->scratch + first * query_bytes, .query_scales = scales + first,
                .skipped = skipped, .visible = visible, .outputs = outputs + first, .maxima = maxima + first,
                .sums = sums + first, .cap = attention->cap};
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

