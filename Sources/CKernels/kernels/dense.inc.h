// Products with row-major weights. Written once over the vector layer; included by each instruction set.

// R rows x T tokens, summed along the columns in lanes. `stride` is the distance of two rows in elements.
ALWAYS_INLINE void dot_block(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_stride, int accumulate, const int rows, const int tokens) {
    vec sums[6][4];
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int r = 0; r < rows; r++) sums[t][r] = vec_zero();
    }
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    int64_t k = 0;
    for (; k + LANES <= columns; k += LANES) {
        vec inputs[6];
        UNROLL for (int t = 0; t < tokens; t++) inputs[t] = vec_load(input + t * input_stride + k);
        UNROLL for (int r = 0; r < rows; r++) {
            vec weight = vec_load_element(weights, r * stride + k, element);
            // What the next block of rows reads: far enough ahead of a streaming read, and never wrong for long.
            if (tokens <= 2) __builtin_prefetch((const char *)weights + ((r + rows) * stride + k) * element_bytes);
            UNROLL for (int t = 0; t < tokens; t++) sums[t][r] = vec_fma(weight, inputs[t], sums[t][r]);
        }
    }
    if (k < columns) {
        vec inputs[6];
        UNROLL for (int t = 0; t < tokens; t++) inputs[t] = vec_load_part(input + t * input_stride + k, columns - k);
        UNROLL for (int r = 0; r < rows; r++) {
            vec weight = vec_load_element_part(weights, r * stride + k, element, columns - k);
            UNROLL for (int t = 0; t < tokens; t++) sums[t][r] = vec_fma(weight, inputs[t], sums[t][r]);
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) {
        float results[4];
        if (rows == 4) {
            vec_store_sums4(results, sums[t][0], sums[t][1], sums[t][2], sums[t][3]);
        } else {
            UNROLL for (int r = 0; r < rows; r++) results[r] = vec_sum(sums[t][r]);
        }
        UNROLL for (int r = 0; r < rows; r++) {
            float *target = output + t * output_stride + r;
            *target = accumulate ? *target + results[r] : results[r];
        }
    }
}

#define DOT_CASE(n)                                                                                               \
    case n:                                                                                                       \
        if (n <= DOT_TOKENS)                                                                                      \
            dot_block(                                                                                            \
                weights, stride, element, columns, input, input_stride, output, output_stride, accumulate, rows, n); \
        break;

ALWAYS_INLINE void dot_tokens(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_stride, int accumulate, const int rows, int64_t tokens) {
    switch (tokens) { DOT_CASE(1) DOT_CASE(2) DOT_CASE(3) DOT_CASE(4) DOT_CASE(5) DOT_CASE(6) }
}

// Up to four rows and DOT_TOKENS tokens.
ALWAYS_INLINE void dot_rows(
    const void *weights, int64_t stride, const enum flash_element element, int64_t columns, const float *input,
    int64_t input_stride, float *output, int64_t output_stride, int accumulate, int64_t rows, int64_t tokens) {
    if (rows == 4) {
        dot_tokens(
            weights, stride, element, columns, input, input_stride, output, output_stride, accumulate, 4, tokens);
        return;
    }
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    for (int64_t r = 0; r < rows; r++)
        dot_tokens(
            (const char *)weights + r * stride * element_bytes, stride, element, columns, input, input_stride,
            output + r, output_stride, accumulate, 1, tokens);
}

static void dot_rows_f32(
    const void *weights, int64_t stride, int64_t columns, const float *input, int64_t input_stride, float *output,
    int64_t output_stride, int accumulate, int64_t rows, int64_t tokens) {
    dot_rows(
        weights, stride, FLASH_F32, columns, input, input_stride, output, output_stride, accumulate, rows, tokens);
}

static void dot_rows_f16(
    const void *weights, int64_t stride, int64_t columns, const float *input, int64_t input_stride, float *output,
    int64_t output_stride, int accumulate, int64_t rows, int64_t tokens) {
    dot_rows(
        weights, stride, FLASH_F16, columns, input, input_stride, output, output_stride, accumulate, rows, tokens);
}

static void dot_rows_bf16(
    const void *weights, int64_t stride, int64_t columns, const float *input, int64_t input_stride, float *output,
    int64_t output_stride, int accumulate, int64_t rows, int64_t tokens) {
    dot_rows(
        weights, stride, FLASH_BF16, columns, input, input_stride, output, output_stride, accumulate, rows, tokens);
}

static void widen(const void *elements, enum flash_element element, int64_t count, float *output) {
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) vec_store(output + i, vec_load_element(elements, i, element));
    if (i < count) vec_store_part(output + i, vec_load_element_part(elements, i, element, count - i), count - i);
}

// Columns of four rows that are widened at once when several token groups share them: 32 KB of float32.
#define WIDE_COLUMNS 2048
// Inputs that stay in the second-level cache while all rows pass over them: 256 KB.
#define RESIDENT_INPUTS 65536

// Groups of DOT_TOKENS tokens share rows that are widened once, four at a time.
static void dense_widened(
    const void *weights, int64_t stride, enum flash_element element, int64_t row_count, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t tokens, int accumulate,
    float *scratch) {
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    int64_t block = RESIDENT_INPUTS / columns / DOT_TOKENS * DOT_TOKENS;
    if (block < DOT_TOKENS) block = DOT_TOKENS;
    for (int64_t first_token = 0; first_token < tokens; first_token += block) {
        const int64_t end_token = first_token + block < tokens ? first_token + block : tokens;
        for (int64_t r = 0; r < row_count; r += 4) {
            const int64_t rows = row_count - r < 4 ? row_count - r : 4;
            for (int64_t c = 0; c < columns; c += WIDE_COLUMNS) {
                const int64_t width = columns - c < WIDE_COLUMNS ? columns - c : WIDE_COLUMNS;
                const float *wide = scratch;
                int64_t wide_stride = WIDE_COLUMNS;
                if (element == FLASH_F32) {
                    wide = (const float *)((const char *)weights + (r * stride + c) * element_bytes);
                    wide_stride = stride;
                } else {
                    for (int64_t i = 0; i < rows; i++)
                        widen(
                            (const uint16_t *)weights + (r + i) * stride + c, element, width,
                            scratch + i * WIDE_COLUMNS);
                }
                for (int64_t t = first_token; t < end_token; t += DOT_TOKENS) {
                    const int64_t group = end_token - t < DOT_TOKENS ? end_token - t : DOT_TOKENS;
                    dot_rows_f32(
                        wide, wide_stride, width, input + t * input_stride + c, input_stride,
                        output + t * output_stride + r, output_stride, accumulate || c > 0, rows, group);
                }
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

// From this many tokens on it pays to turn rows into panels (measured on AVX2: 1.05x at 64 tokens, 1.4x at 512, 0.93x
// at 32): the activations are broadcast instead of loaded, and there are no horizontal sums.
#define DENSE_PANEL_TOKENS 64

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

// `row_count` rows from `weights` on. `scratch` holds PANEL_COLUMNS * 32 floats.
static void dense_rows(
    const void *weights, int64_t stride, enum flash_element element, int64_t row_count, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t tokens, int accumulate,
    float *scratch) {
    const int64_t element_bytes = element == FLASH_F32 ? 4 : 2;
    if (tokens <= DOT_TOKENS) {
        for (int64_t r = 0; r < row_count; r += 4) {
            const int64_t rows = row_count - r < 4 ? row_count - r : 4;
            const char *first = (const char *)weights + r * stride * element_bytes;
            (element == FLASH_F32   ? dot_rows_f32
             : element == FLASH_F16 ? dot_rows_f16
                                    : dot_rows_bf16)(
                first, stride, columns, input, input_stride, output + r, output_stride, accumulate, rows, tokens);
        }
        return;
    }
    (tokens < DENSE_PANEL_TOKENS ? dense_widened : dense_panels)(
        weights, stride, element, row_count, columns, input, input_stride, output, output_stride, tokens, accumulate,
        scratch);
}

static void product_dense(
    const struct flash_dense *matrix, int64_t first_row, int64_t end_row, const struct flash_operands *operands) {
    const int64_t element_bytes = matrix->element == FLASH_F32 ? 4 : 2;
    dense_rows(
        (const char *)matrix->elements + first_row * matrix->columns * element_bytes, matrix->columns, matrix->element,
        end_row - first_row, matrix->columns, operands->input, operands->input_stride, operands->output + first_row,
        operands->output_stride, operands->tokens, 0, operands->scratch);
}
