// Products with row-major weights. Written once over the vector layer; included by each instruction set.

// Rows times tokens that dot_block sums up at most.
#define DOT_SUMS 24

// R rows x T tokens, summed along the columns in lanes. `stride` is the distance of two rows in elements, `output_rows`
// that of their results. What lies `ahead` bytes from the weights is prefetched to the second-level cache, -1: nothing.
ALWAYS_INLINE void dot_block(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_rows, int64_t output_stride, int accumulate, int64_t ahead,
    const int rows, const int tokens) {
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    vec sums[DOT_SUMS];
    UNROLL for (int i = 0; i < tokens * rows; i++) sums[i] = vec_zero();
    int64_t k = 0;
    for (; k + LANES <= columns; k += LANES) {
        if (ahead >= 0) {
            UNROLL for (int r = 0; r < rows; r++)
                __builtin_prefetch((const char *)weights + (r * stride + k) * element_bytes + ahead, 0, 2);
        }
        // What there is less of stays in registers.
        vec kept[DOT_STREAMS];
        if (tokens < rows) {
            UNROLL for (int t = 0; t < tokens; t++) kept[t] = vec_load(input + t * input_stride + k);
            UNROLL for (int r = 0; r < rows; r++) {
                const vec weight = vec_load_element(weights, r * stride + k, element);
                UNROLL for (int t = 0; t < tokens; t++)
                    sums[t * rows + r] = vec_fma(weight, kept[t], sums[t * rows + r]);
            }
        } else {
            UNROLL for (int r = 0; r < rows; r++) kept[r] = vec_load_element(weights, r * stride + k, element);
            UNROLL for (int t = 0; t < tokens; t++) {
                const vec x = vec_load(input + t * input_stride + k);
                UNROLL for (int r = 0; r < rows; r++) sums[t * rows + r] = vec_fma(kept[r], x, sums[t * rows + r]);
            }
        }
    }
    if (k < columns) {
        UNROLL for (int r = 0; r < rows; r++) {
            const vec weight = vec_load_element_part(weights, r * stride + k, element, columns - k);
            UNROLL for (int t = 0; t < tokens; t++)
                sums[t * rows + r] =
                    vec_fma(weight, vec_load_part(input + t * input_stride + k, columns - k), sums[t * rows + r]);
        }
    }
    // Every sum in the same order, whichever rows it stands beside: the way rows are grouped depends on the threads.
    float results[DOT_SUMS];
    UNROLL for (int i = tokens * rows; i < (tokens * rows + 3) / 4 * 4; i++) sums[i] = vec_zero();
    UNROLL for (int i = 0; i < tokens * rows; i += 4)
        vec_store_sums4(results + i, sums[i], sums[i + 1], sums[i + 2], sums[i + 3]);
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int r = 0; r < rows; r++) {
            float *target = output + t * output_stride + r * output_rows;
            *target = accumulate ? *target + results[t * rows + r] : results[t * rows + r];
        }
    }
}

#define DOT_CASE(n, limit)                                                                                        \
    case n:                                                                                                       \
        if (n <= limit)                                                                                           \
            dot_block(                                                                                            \
                weights, stride, element, columns, input, input_stride, output, output_rows, output_stride,       \
                accumulate, ahead, rows, n <= limit ? n : 1);                                                     \
        break;

// `rows` rows and up to `limit` tokens.
ALWAYS_INLINE void dot_tokens(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_rows, int64_t output_stride, int accumulate, int64_t ahead,
    const int rows, const int limit, int64_t tokens) {
    switch (tokens) {
        DOT_CASE(1, limit) DOT_CASE(2, limit) DOT_CASE(3, limit) DOT_CASE(4, limit) DOT_CASE(5, limit)
        DOT_CASE(6, limit)
    }
}

// Rows that are streamed from memory, each once, for up to DOT_TOKENS tokens.
//
// `streams` rows at a time, far apart: each is followed by the next of its stretch, so that the processor sees a few
// long streams and fetches them ahead by itself. On Zen 4 that reads 29 GB/s; neighbouring rows, which end every few
// kilobytes, read 16 GB/s, and prefetching them made it worse (11 GB/s).
ALWAYS_INLINE void dot_streams(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_stride, int accumulate, int64_t rows, const int streams,
    const int limit, int64_t tokens) {
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2, stretch = rows / streams;
    for (int64_t r = 0; r < stretch; r++)
        dot_tokens(
            (const char *)weights + r * stride * element_bytes, stretch * stride, element, columns, input,
            input_stride, output + r, stretch, output_stride, accumulate, -1, streams, limit, tokens);
    for (int64_t r = stretch * streams; r < rows; r++)
        dot_tokens(
            (const char *)weights + r * stride * element_bytes, stride, element, columns, input, input_stride,
            output + r, 1, output_stride, accumulate, -1, 1, limit, tokens);
}

// Rows that lie in a cache, DOT_ROWS at a time, for up to DOT_GROUP_TOKENS tokens.
ALWAYS_INLINE void dot_rows(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_stride, int accumulate, int64_t ahead, int64_t rows,
    int64_t tokens) {
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    int64_t r = 0;
    for (; r + DOT_ROWS <= rows; r += DOT_ROWS)
        dot_tokens(
            (const char *)weights + r * stride * element_bytes, stride, element, columns, input, input_stride,
            output + r, 1, output_stride, accumulate, ahead, DOT_ROWS, DOT_GROUP_TOKENS, tokens);
    for (; r < rows; r++)
        dot_tokens(
            (const char *)weights + r * stride * element_bytes, stride, element, columns, input, input_stride,
            output + r, 1, output_stride, accumulate, ahead, 1, DOT_GROUP_TOKENS, tokens);
}

// Any number of rows: streamed from memory, or from a cache while those `ahead` bytes on are brought there.
#define DOT_STREAMED INT64_MIN
ALWAYS_INLINE void dot_any(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_stride, int accumulate, int64_t ahead, int64_t rows,
    int64_t tokens) {
    if (ahead != DOT_STREAMED) {
        dot_rows(
            weights, stride, element, columns, input, input_stride, output, output_stride, accumulate, ahead, rows,
            tokens);
    } else if (tokens * DOT_STREAMS <= DOT_SUMS) {
        dot_streams(
            weights, stride, element, columns, input, input_stride, output, output_stride, accumulate, rows,
            DOT_STREAMS, DOT_SUMS / DOT_STREAMS, tokens);
    } else {
        dot_streams(
            weights, stride, element, columns, input, input_stride, output, output_stride, accumulate, rows, 4,
            DOT_TOKENS, tokens);
    }
}

#define DOT_ANY(name, element)                                                                                    \
    static void name(                                                                                             \
        const void *weights, int64_t stride, int64_t columns, const float *input, int64_t input_stride,           \
        float *output, int64_t output_stride, int accumulate, int64_t ahead, int64_t rows, int64_t tokens) {      \
        dot_any(                                                                                                  \
            weights, stride, element, columns, input, input_stride, output, output_stride, accumulate, ahead,     \
            rows, tokens);                                                                                        \
    }
DOT_ANY(dot_f32, FLASH_F32)
DOT_ANY(dot_f16, FLASH_F16)
DOT_ANY(dot_bf16, FLASH_BF16)

static void dot_as(
    const void *weights, int64_t stride, enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_stride, int accumulate, int64_t ahead, int64_t rows,
    int64_t tokens) {
    (element == FLASH_F32 ? dot_f32 : element == FLASH_F16 ? dot_f16 : dot_bf16)(
        weights, stride, columns, input, input_stride, output, output_stride, accumulate, ahead, rows, tokens);
}

static void widen(const void *elements, enum flash_element element, int64_t count, float *output) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) vec_store(output + i, vec_load_element(elements, i, element));
    if (i < count) vec_store_part(output + i, vec_load_element_part(elements, i, element, count - i), count - i);
}

// From this many tokens on it pays to turn rows into panels (measured on AVX2: 1.05x at 64 tokens, 1.4x at 512, 0.93x
// at 32): the activations are broadcast instead of loaded, and there are no horizontal sums.
#ifndef DENSE_PANEL_TOKENS
#define DENSE_PANEL_TOKENS 64
#endif

// Columns of a block: the activations of a group of tokens there take 18 KB, and stay in the first-level cache while
// the rows of a block pass over them.
#define DOT_COLUMNS 768
// Rows of a block: they stay in the second-level cache while groups of tokens pass, 64 KB at most.
#define DOT_BLOCK_ROWS 16
// Tokens that a block of weights is used for at most: their activations take 200 KB of the second-level cache.
#define DOT_BLOCK_TOKENS 64
// Distance of two tokens' activations where they are copied to: one line more than a multiple of 256. Widths of models
// are multiples of 256 or 1024, so that in place the tokens of a group would share the few ways of a set of the
// first-level cache.
#define DOT_STRIDE (DOT_COLUMNS + 16)

struct dot_scratch {
    float activations[DOT_BLOCK_TOKENS][DOT_STRIDE];
    float weights[DOT_BLOCK_ROWS][DOT_COLUMNS];
};

// More tokens than rows can be streamed past, up to DOT_BLOCK_TOKENS: block by block.
static void dense_blocks(
    const void *weights, int64_t stride, enum flash_element element, int64_t row_count, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t tokens, int accumulate,
    struct dot_scratch *scratch) {
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    const int64_t even = even_group(tokens, DOT_GROUP_TOKENS);
    // Several groups share rows that are widened once, where conversions take the multipliers' ports.
    const int widens = DOT_WIDENS && element != FLASH_F32 && tokens > DOT_GROUP_TOKENS;
    for (int64_t c = 0; c < columns; c += DOT_COLUMNS) {
        const int64_t width = columns - c < DOT_COLUMNS ? columns - c : DOT_COLUMNS;
        for (int64_t t = 0; t < tokens; t++)
            __builtin_memcpy(scratch->activations[t], input + t * input_stride + c, width * sizeof(float));
        for (int64_t r = 0; r < row_count; r += DOT_BLOCK_ROWS) {
            const int64_t rows = row_count - r < DOT_BLOCK_ROWS ? row_count - r : DOT_BLOCK_ROWS;
            const void *block = (const char *)weights + (r * stride + c) * element_bytes;
            if (widens) {
                for (int64_t i = 0; i < rows; i++)
                    widen((const uint16_t *)block + i * stride, element, width, scratch->weights[i]);
            }
            for (int64_t t = 0; t < tokens; t += even) {
                const int64_t group = tokens - t < even ? tokens - t : even;
                dot_as(
                    widens ? scratch->weights[0] : block, widens ? DOT_COLUMNS : stride, widens ? FLASH_F32 : element,
                    width, scratch->activations[t], DOT_STRIDE, output + t * output_stride + r, output_stride,
                    accumulate || c > 0, widens || t > 0 ? -1 : DOT_BLOCK_ROWS * stride * element_bytes, rows, group);
            }
        }
    }
}

// Up to 32 rows of up to PANEL_COLUMNS columns as a panel `[columns, 32]`; rows that are missing are zeros.
ALWAYS_INLINE void dense_panel(
    const void *weights, int64_t stride, const enum flash_element element, int64_t rows, int64_t columns,
    float *panel) {
    for (int64_t r = 0; r < FLASH_PANEL_ROWS; r += LANES) {
        for (int64_t k = 0; k < columns; k += LANES) {
            vec tile[LANES];
            UNROLL for (int i = 0; i < LANES; i++) {
                tile[i] = r + i >= rows ? vec_zero()
                          : columns - k >= LANES
                              ? vec_load_element(weights, (r + i) * stride + k, element)
                              : vec_load_element_part(weights, (r + i) * stride + k, element, columns - k);
            }
            vec_transpose(tile);
            UNROLL for (int i = 0; i < LANES; i++) vec_store(panel + (k + i) * FLASH_PANEL_ROWS + r, tile[i]);
        }
    }
}

static void dense_panels(
    const void *weights, int64_t stride, enum flash_element element, int64_t row_count, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t tokens, int accumulate,
    float *panel) {
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    for (int64_t t = 0; t < tokens; t += PANEL_RESIDENT_TOKENS) {
        const int64_t resident = tokens - t < PANEL_RESIDENT_TOKENS ? tokens - t : PANEL_RESIDENT_TOKENS;
        for (int64_t r = 0; r < row_count; r += FLASH_PANEL_ROWS) {
            const int64_t rows = row_count - r;
            for (int64_t c = 0; c < columns; c += PANEL_COLUMNS) {
                const int64_t width = columns - c < PANEL_COLUMNS ? columns - c : PANEL_COLUMNS;
                const char *first = (const char *)weights + (r * stride + c) * element_bytes;
                switch (element) {
                    case FLASH_F32: dense_panel(first, stride, FLASH_F32, rows, width, panel); break;
                    case FLASH_F16: dense_panel(first, stride, FLASH_F16, rows, width, panel); break;
                    case FLASH_BF16: dense_panel(first, stride, FLASH_BF16, rows, width, panel); break;
                }
                panel_tokens(
                    panel, width, input + t * input_stride + c, input_stride, output + t * output_stride + r,
                    output_stride, rows, accumulate || c > 0, resident);
            }
        }
    }
}

// Memory of a dense product.
union dense_scratch {
    struct dot_scratch dot;
    float panel[PANEL_COLUMNS * FLASH_PANEL_ROWS];
};

// `row_count` rows from `weights` on.
static void dense_rows(
    const void *weights, int64_t stride, enum flash_element element, int64_t row_count, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t tokens, int accumulate,
    union dense_scratch *scratch) {
    if (tokens <= DOT_TOKENS) {
        dot_as(
            weights, stride, element, columns, input, input_stride, output, output_stride, accumulate, DOT_STREAMED,
            row_count, tokens);
    } else if (tokens < DENSE_PANEL_TOKENS) {
        const int64_t even = even_group(tokens, DOT_BLOCK_TOKENS);
        for (int64_t t = 0; t < tokens; t += even)
            dense_blocks(
                weights, stride, element, row_count, columns, input + t * input_stride, input_stride,
                output + t * output_stride, output_stride, tokens - t < even ? tokens - t : even, accumulate,
                &scratch->dot);
    } else {
        dense_panels(
            weights, stride, element, row_count, columns, input, input_stride, output, output_stride, tokens,
            accumulate, scratch->panel);
    }
}

static void product_dense(
    const struct flash_dense *matrix, int64_t first_row, int64_t end_row, const struct flash_operands *operands) {
    const int64_t element_bytes = matrix->element == FLASH_F32 ? 4 : 2;
    dense_rows(
        (const char *)matrix->elements + first_row * matrix->columns * element_bytes, matrix->columns, matrix->element,
        end_row - first_row, matrix->columns, operands->input, operands->input_stride, operands->output + first_row,
        operands->output_stride, operands->tokens, 0, operands->scratch);
}
