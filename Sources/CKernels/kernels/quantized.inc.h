// Products with quantised weights, sparse (bitmap) or dense, and the quantisation of activations. Written once over the
// vector layer; included by each instruction set.
//
// Lanes are rows: a chunk is one 4-byte piece of each of 16 rows (4 int8 or 2 int16), multiplied by the same 4 bytes of
// activations. Within a group of columns sums are exact integers; at its end they are scaled into float32.

#define QUANTIZED_PARTS (FLASH_QUANTIZED_ROWS / LANES)

// Where the next values of a panel lie: two planes for I4, one for the others.
struct quantized_cursor {
    const uint8_t *values[2];
    const uint8_t *masks;  // of chunk 0 of the panel
};

ALWAYS_INLINE int64_t quantized_chunk_columns(const enum flash_coding coding) { return coding == FLASH_I16 ? 2 : 4; }

ALWAYS_INLINE struct quantized_cursor quantized_panel(
    const struct flash_quantized *matrix, const enum flash_coding coding, const int dense, int64_t panel,
    int64_t chunks) {
    const uint8_t *values = matrix->values + matrix->panel_offsets[panel];
    const int64_t mask_bytes = coding == FLASH_I16 ? 4 : 8;
    const uint8_t *masks = dense ? NULL : (const uint8_t *)matrix->masks + panel * chunks * mask_bytes;
    return (struct quantized_cursor){.values = {values, values}, .masks = masks};
}

// The weights of one chunk as operands of `dot_i8` or `dot_i16`; `odd` is the chunk's parity.
ALWAYS_INLINE void quantized_chunk(
    struct quantized_cursor *cursor, int64_t chunk, const enum flash_coding coding, const int dense, const int odd,
    ivec weights[QUANTIZED_PARTS]) {
    const uint8_t **next = &cursor->values[coding == FLASH_I4 ? odd : 0];
    if (dense) {
        UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++) weights[p] = ivec_load(*next + p * LANES * 4);
        *next += FLASH_QUANTIZED_ROWS * 4;
    } else if (coding == FLASH_I16) {
        *next = ivec_expand_words(cursor->masks + chunk * 4, *next, weights);
    } else {
        *next = ivec_expand_bytes(cursor->masks + chunk * 8, *next, weights);
    }
    UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++) {
        if (coding == FLASH_I4) weights[p] = odd ? ivec_high_nibbles(weights[p]) : ivec_low_nibbles(weights[p]);
        if (coding != FLASH_I16) weights[p] = ivec_operand_i8(weights[p]);
    }
}

ALWAYS_INLINE ivec quantized_dot(const enum flash_coding coding, ivec sum, ivec weights, ivec activations) {
    return coding == FLASH_I16 ? dot_i16(sum, weights, activations) : dot_i8(sum, weights, activations);
}

// Nibbles are decoded to 16 times their value.
ALWAYS_INLINE float quantized_factor(const enum flash_coding coding) { return coding == FLASH_I4 ? 0.0625f : 1.0f; }

// What a group's integer sum starts from: makes up for operands that dot_i8 takes with an offset.
ALWAYS_INLINE ivec quantized_start(
    const enum flash_coding coding, const struct flash_quantized_input *input, int64_t token, int64_t group) {
    if (coding == FLASH_I16 || OPERAND_I8_OFFSET == 0) return ivec_zero();
    return ivec_broadcast(-OPERAND_I8_OFFSET * input->sums[token * input->groups + group]);
}

ALWAYS_INLINE const uint8_t *quantized_activations(
    const enum flash_coding coding, const struct flash_quantized_input *input, int64_t token) {
    return (const uint8_t *)input->values + token * input->stride * (coding == FLASH_I16 ? 2 : 1);
}

// Fetches what two chunks from `chunk` on read, as far ahead as memory is slow: about 400 ns of streaming. Into the
// first-level cache, or into the second, which is slower to reach but holds nobody up.
ALWAYS_INLINE void quantized_prefetch(
    const struct quantized_cursor *cursor, int64_t chunk, const enum flash_coding coding, const int dense,
    const int is_second_level) {
    const uint8_t *values = cursor->values[0] + 8192;
    const uint8_t *masks = dense ? NULL : cursor->masks + chunk * (coding == FLASH_I16 ? 4 : 8) + 2048;
    if (is_second_level) {
        __builtin_prefetch(values, 0, 2);
        if (dense && coding != FLASH_I4) __builtin_prefetch(values + 64, 0, 2);
        if (!dense) __builtin_prefetch(masks, 0, 2);
    } else {
        __builtin_prefetch(values, 0, 3);
        if (dense && coding != FLASH_I4) __builtin_prefetch(values + 64, 0, 3);
        if (!dense) __builtin_prefetch(masks, 0, 3);
    }
}

// Up to QUANTIZED_DIRECT_TOKENS tokens: weights go from their stream straight into the products.
ALWAYS_INLINE void quantized_direct(
    struct quantized_cursor cursor, const uint16_t *scales, const struct flash_quantized *matrix,
    const struct flash_quantized_input *input, const enum flash_coding coding, const int dense, int64_t first_token,
    float *output, int64_t output_stride, int64_t rows, const int tokens) {
    const int64_t width = quantized_chunk_columns(coding), chunks = (matrix->columns + width - 1) / width;
    const int64_t group_chunks = input->group_columns / width;
    // Two independent sums hide the latency of the multiply-add: both chunks of a step in one sum would take it twice.
    const int sets = tokens <= QUANTIZED_TWO_SUMS_TOKENS ? 2 : 1;
    const uint8_t *activations[QUANTIZED_DIRECT_TOKENS];
    vec totals[QUANTIZED_DIRECT_TOKENS][QUANTIZED_PARTS];
    UNROLL for (int t = 0; t < tokens; t++) {
        activations[t] = quantized_activations(coding, input, first_token + t);
        UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++) totals[t][p] = vec_zero();
    }
    for (int64_t group = 0; group < input->groups; group++) {
        ivec sums[2][QUANTIZED_DIRECT_TOKENS][QUANTIZED_PARTS];
        UNROLL for (int t = 0; t < tokens; t++) {
            UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++) {
                sums[0][t][p] = quantized_start(coding, input, first_token + t, group);
                if (sets == 2) sums[1][t][p] = ivec_zero();
            }
        }
        int64_t chunk = group * group_chunks;
        const int64_t end = chunk + group_chunks < chunks ? chunk + group_chunks : chunks;
        for (; chunk + 2 <= end; chunk += 2) {
            // Zen 4, dense int8 from memory: 27 against 21 GB/s with 1 token in the first level, 15 against 21 with 8.
            quantized_prefetch(&cursor, chunk, coding, dense, dense && tokens > 4);
            UNROLL for (int s = 0; s < 2; s++) {
                ivec weights[QUANTIZED_PARTS];
                quantized_chunk(&cursor, chunk + s, coding, dense, s, weights);
                UNROLL for (int t = 0; t < tokens; t++) {
                    const ivec x = ivec_load_broadcast(activations[t] + (chunk + s) * 4);
                    UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++)
                        sums[s % sets][t][p] = quantized_dot(coding, sums[s % sets][t][p], weights[p], x);
                }
            }
        }
        if (chunk < end) {
            ivec weights[QUANTIZED_PARTS];
            quantized_chunk(&cursor, chunk, coding, dense, 0, weights);
            UNROLL for (int t = 0; t < tokens; t++) {
                const ivec x = ivec_load_broadcast(activations[t] + chunk * 4);
                UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++)
                    sums[0][t][p] = quantized_dot(coding, sums[0][t][p], weights[p], x);
            }
        }
        const uint16_t *scale = scales + group * input->group_columns / matrix->group_columns * FLASH_QUANTIZED_ROWS;
        UNROLL for (int t = 0; t < tokens; t++) {
            const vec factor = vec_broadcast(
                input->scales[(first_token + t) * input->groups + group] * quantized_factor(coding));
            UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++) {
                ivec sum = sets == 2 ? ivec_add(sums[0][t][p], sums[1][t][p]) : sums[0][t][p];
                totals[t][p] = vec_fma(
                    vec_mul(vec_from_ivec(sum), factor), vec_load_element(scale, p * LANES, FLASH_BF16), totals[t][p]);
            }
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++)
            store_panel_part(output + t * output_stride + p * LANES, totals[t][p], rows - p * LANES, 0);
    }
}

// Columns that are expanded at once when many tokens share them; a panel's piece is 8 KB of int8 or 16 KB of int16.
#define QUANTIZED_BLOCK_COLUMNS FLASH_GROUP_LIMIT

// QUANTIZED_PANELS panels times `tokens` tokens over the groups of one block of columns. `weights[i]` is the dense
// operand stream of panel i for this block; the results are added up in the output, float32.
ALWAYS_INLINE void quantized_block(
    const uint8_t *const weights[QUANTIZED_PANELS], const uint16_t *const scales[QUANTIZED_PANELS],
    const struct flash_quantized *matrix, const struct flash_quantized_input *input, const enum flash_coding coding,
    const int panels, int64_t first_column, int64_t end_column, int64_t first_token, float *output,
    int64_t output_stride, int64_t rows, const int tokens) {
    const int64_t width = quantized_chunk_columns(coding);
    for (int64_t column = first_column; column < end_column; column += input->group_columns) {
        const int64_t group = column / input->group_columns;
        const int64_t end = column + input->group_columns < end_column ? column + input->group_columns : end_column;
        ivec sums[QUANTIZED_TOKENS][QUANTIZED_PANELS * QUANTIZED_PARTS];
        UNROLL for (int t = 0; t < tokens; t++) {
            UNROLL for (int p = 0; p < panels * QUANTIZED_PARTS; p++)
                sums[t][p] = quantized_start(coding, input, first_token + t, group);
        }
        const uint8_t *activations = quantized_activations(coding, input, first_token);
        const int64_t stride = input->stride * (coding == FLASH_I16 ? 2 : 1);
        const int64_t end_chunk = (end + width - 1) / width;
        for (int64_t chunk = column / width; chunk < end_chunk; chunk++) {
            ivec operands[QUANTIZED_PANELS * QUANTIZED_PARTS];
            UNROLL for (int p = 0; p < panels * QUANTIZED_PARTS; p++)
                operands[p] = ivec_load(
                    weights[p / QUANTIZED_PARTS] + (chunk - first_column / width) * FLASH_QUANTIZED_ROWS * 4 +
                    p % QUANTIZED_PARTS * LANES * 4);
            UNROLL for (int t = 0; t < tokens; t++) {
                const ivec x = ivec_load_broadcast(activations + t * stride + chunk * 4);
                UNROLL for (int p = 0; p < panels * QUANTIZED_PARTS; p++)
                    sums[t][p] = quantized_dot(coding, sums[t][p], operands[p], x);
            }
        }
        const int64_t scale_group = group * input->group_columns / matrix->group_columns;
        UNROLL for (int t = 0; t < tokens; t++) {
            const vec factor = vec_broadcast(
                input->scales[(first_token + t) * input->groups + group] * quantized_factor(coding));
            UNROLL for (int p = 0; p < panels * QUANTIZED_PARTS; p++) {
                const int64_t first = p * LANES;
                float *target = output + t * output_stride + first;
                const vec scale = vec_load_element(
                    scales[p / QUANTIZED_PARTS] + scale_group * FLASH_QUANTIZED_ROWS, p % QUANTIZED_PARTS * LANES,
                    FLASH_BF16);
                vec total = column == 0            ? vec_zero()
                            : rows - first >= LANES ? vec_load(target)
                            : rows - first > 0      ? vec_load_part(target, rows - first)
                                                    : vec_zero();
                total = vec_fma(vec_mul(vec_from_ivec(sums[t][p]), factor), scale, total);
                store_panel_part(target, total, rows - first, 0);
            }
        }
    }
}

// Expands the chunks of columns [first, end) of a panel into operands, 64 bytes each; moves the cursor on.
ALWAYS_INLINE void quantized_expand(
    struct quantized_cursor *cursor, const enum flash_coding coding, const int dense, int64_t first, int64_t end,
    uint8_t *target) {
    const int64_t width = quantized_chunk_columns(coding), end_chunk = (end + width - 1) / width;
    for (int64_t chunk = first / width; chunk < end_chunk; chunk += 2) {
        // The next block, which is wanted when all tokens are done with this one.
        quantized_prefetch(cursor, chunk, coding, dense, 1);
        UNROLL for (int s = 0; s < 2; s++) {
            if (chunk + s >= end_chunk) break;
            ivec weights[QUANTIZED_PARTS];
            quantized_chunk(cursor, chunk + s, coding, dense, s, weights);
            UNROLL for (int p = 0; p < QUANTIZED_PARTS; p++) {
                ivec_store(target, weights[p]);
                target += LANES * 4;
            }
        }
    }
}

#define QUANTIZED_BLOCK_CASE(n)                                                                                 \
    case n:                                                                                                     \
        if (n <= QUANTIZED_TOKENS)                                                                              \
            quantized_block(                                                                                    \
                weights, scales, matrix, input, coding, panels, first, end, t, output + t * output_stride,      \
                output_stride, rows, n <= QUANTIZED_TOKENS ? n : 1);                                            \
        break;

// Up to QUANTIZED_PANELS panels from `panel` on, all tokens.
ALWAYS_INLINE void quantized_panels(
    const struct flash_quantized *matrix, const enum flash_coding coding, const int dense, int64_t panel,
    const int panels, const struct flash_quantized_input *input, float *output, int64_t output_stride, int64_t rows,
    int64_t tokens, uint8_t *scratch) {
    const int64_t width = quantized_chunk_columns(coding), chunks = (matrix->columns + width - 1) / width;
    const int64_t groups = (matrix->columns + matrix->group_columns - 1) / matrix->group_columns;
    const int64_t piece = QUANTIZED_BLOCK_COLUMNS / width * FLASH_QUANTIZED_ROWS * 4;
    struct quantized_cursor cursors[QUANTIZED_PANELS];
    const uint8_t *weights[QUANTIZED_PANELS];
    const uint16_t *scales[QUANTIZED_PANELS];
    UNROLL for (int i = 0; i < panels; i++) {
        cursors[i] = quantized_panel(matrix, coding, dense, panel + i, chunks);
        scales[i] = matrix->scales + (panel + i) * groups * FLASH_QUANTIZED_ROWS;
        weights[i] = scratch + i * piece;
    }
    const int64_t block = QUANTIZED_BLOCK_COLUMNS / input->group_columns * input->group_columns;
    const int64_t even = even_group(tokens, QUANTIZED_TOKENS);
    for (int64_t first = 0; first < matrix->columns; first += block) {
        const int64_t end = first + block < matrix->columns ? first + block : matrix->columns;
        UNROLL for (int i = 0; i < panels; i++)
            quantized_expand(&cursors[i], coding, dense, first, end, scratch + i * piece);
        for (int64_t t = 0; t < tokens; t += even) {
            switch (tokens - t < even ? tokens - t : even) {
                QUANTIZED_BLOCK_CASE(1) QUANTIZED_BLOCK_CASE(2) QUANTIZED_BLOCK_CASE(3) QUANTIZED_BLOCK_CASE(4)
                QUANTIZED_BLOCK_CASE(5) QUANTIZED_BLOCK_CASE(6) QUANTIZED_BLOCK_CASE(7) QUANTIZED_BLOCK_CASE(8)
                QUANTIZED_BLOCK_CASE(9) QUANTIZED_BLOCK_CASE(10) QUANTIZED_BLOCK_CASE(11) QUANTIZED_BLOCK_CASE(12)
            }
        }
    }
}

#define QUANTIZED_DIRECT_CASE(n)                                                                                \
    case n:                                                                                                     \
        if (n <= QUANTIZED_DIRECT_TOKENS)                                                                       \
            quantized_direct(                                                                                   \
                cursor, scales, matrix, input, coding, dense, t, output + t * output_stride + row,              \
                output_stride, end_row - row, n <= QUANTIZED_DIRECT_TOKENS ? n : 1);                            \
        break;

// Whether weights stay in their stream for any number of tokens: where decoding a panel anew for a few tokens at a time
// costs less than the trip through scratch memory.
#ifndef QUANTIZED_STAYS_DIRECT
#define QUANTIZED_STAYS_DIRECT(coding, dense) 0
#endif
// Tokens that pass over all panels before the next: their activations take 256 KB of the second-level cache in 4096
// columns of int8.
#define QUANTIZED_RESIDENT_TOKENS 64

ALWAYS_INLINE void product_quantized_as(
    const struct flash_quantized *matrix, const enum flash_coding coding, const int dense, int64_t first_row,
    int64_t end_row, const struct flash_quantized_input *input, float *output, int64_t output_stride, int64_t tokens,
    uint8_t *scratch) {
    const int64_t width = quantized_chunk_columns(coding), chunks = (matrix->columns + width - 1) / width;
    const int64_t groups = (matrix->columns + matrix->group_columns - 1) / matrix->group_columns;
    const int64_t panel_rows = FLASH_QUANTIZED_ROWS;
    if (tokens <= QUANTIZED_DIRECT_TOKENS || QUANTIZED_STAYS_DIRECT(coding, dense)) {
        const int64_t resident = even_group(tokens, QUANTIZED_RESIDENT_TOKENS);
        const int64_t even = even_group(resident, QUANTIZED_DIRECT_TOKENS);
        for (int64_t first = 0; first < tokens; first += resident) {
            const int64_t end = first + resident < tokens ? first + resident : tokens;
            for (int64_t row = first_row; row < end_row; row += panel_rows) {
                const int64_t panel = row / panel_rows;
                const struct quantized_cursor cursor = quantized_panel(matrix, coding, dense, panel, chunks);
                const uint16_t *scales = matrix->scales + panel * groups * panel_rows;
                for (int64_t t = first; t < end; t += even) {
                    switch (end - t < even ? end - t : even) {
                        QUANTIZED_DIRECT_CASE(1) QUANTIZED_DIRECT_CASE(2) QUANTIZED_DIRECT_CASE(3)
                        QUANTIZED_DIRECT_CASE(4) QUANTIZED_DIRECT_CASE(5) QUANTIZED_DIRECT_CASE(6)
                        QUANTIZED_DIRECT_CASE(7) QUANTIZED_DIRECT_CASE(8)
                    }
                }
            }
        }
        return;
    }
    int64_t row = first_row;
    for (; row + (QUANTIZED_PANELS - 1) * panel_rows < end_row; row += QUANTIZED_PANELS * panel_rows)
        quantized_panels(
            matrix, coding, dense, row / panel_rows, QUANTIZED_PANELS, input, output + row, output_stride,
            end_row - row, tokens, scratch);
    for (; row < end_row; row += panel_rows)
        quantized_panels(
            matrix, coding, dense, row / panel_rows, 1, input, output + row, output_stride, end_row - row, tokens,
            scratch);
}

#define PRODUCT_QUANTIZED(name, coding, dense)                                                                  \
    static void name(                                                                                           \
        const struct flash_quantized *matrix, int64_t first_row, int64_t end_row,                               \
        const struct flash_quantized_input *input, float *output, int64_t output_stride, int64_t tokens,        \
        void *scratch) {                                                                                        \
        product_quantized_as(                                                                                   \
            matrix, coding, dense, first_row, end_row, input, output, output_stride, tokens, scratch);          \
    }
PRODUCT_QUANTIZED(product_bitmap_i16, FLASH_I16, 0)
PRODUCT_QUANTIZED(product_bitmap_i8, FLASH_I8, 0)
PRODUCT_QUANTIZED(product_bitmap_i4, FLASH_I4, 0)
PRODUCT_QUANTIZED(product_dense_i16, FLASH_I16, 1)
PRODUCT_QUANTIZED(product_dense_i8, FLASH_I8, 1)
PRODUCT_QUANTIZED(product_dense_i4, FLASH_I4, 1)

static void product_quantized(
    const struct flash_quantized *matrix, int64_t first_row, int64_t end_row,
    const struct flash_quantized_input *input, float *output, int64_t output_stride, int64_t tokens, void *scratch) {
    const int dense = matrix->masks == NULL;
    (matrix->coding == FLASH_I16  ? (dense ? product_dense_i16 : product_bitmap_i16)
     : matrix->coding == FLASH_I8 ? (dense ? product_dense_i8 : product_bitmap_i8)
                                  : (dense ? product_dense_i4 : product_bitmap_i4))(
        matrix, first_row, end_row, input, output, output_stride, tokens, scratch);
}

// ---- Activations ----------------------------------------------------------------------------------------------------

// One group of `count` elements, padded with zeros to `padded`, both at most a few hundred.
ALWAYS_INLINE void quantize_group(
    const float *input, int64_t count, int64_t padded, const enum flash_coding coding, void *values, float *scale,
    int32_t *sum) {
    const float limit = coding == FLASH_I16 ? 2047 : 127;
    const float magnitude = finite_magnitude(input, count);
    const int isFinite = !isnan(magnitude);
    const int isZero = !isFinite || !(magnitude >= 1e-35f);
    *scale = !isFinite ? NAN : isZero ? 0 : magnitude / limit;
    const vec factor = vec_broadcast(isZero ? 0 : limit / magnitude);
    vec total = vec_zero();
    for (int64_t i = 0; i < padded; i += LANES) {
        vec x = vec_zero();
        // Not multiplied by a factor of 0: a NaN or an infinity would stay one.
        if (!isZero && i < count) {
            x = count - i >= LANES ? vec_load(input + i) : vec_load_part(input + i, count - i);
            x = vec_round(vec_mul(x, factor));
        }
        total = vec_add(total, x);
        if (coding == FLASH_I16) {
            vec_store_i16((int16_t *)values + i, x);
        } else {
            vec_store_i8((int8_t *)values + i, x);
        }
    }
    *sum = (int32_t)vec_sum(total);
}

static void quantize(
    const float *input, int64_t width, enum flash_coding coding, int64_t group_columns, void *values, float *scales,
    int32_t *sums) {
    for (int64_t first = 0, group = 0; first < width; first += group_columns, group++) {
        const int64_t count = width - first < group_columns ? width - first : group_columns;
        if (coding == FLASH_I16) {
            quantize_group(
                input + first, count, group_columns, FLASH_I16, (int16_t *)values + first, scales + group,
                sums + group);
        } else {
            quantize_group(
                input + first, count, group_columns, FLASH_I8, (int8_t *)values + first, scales + group, sums + group);
        }
    }
}
