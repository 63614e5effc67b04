// Products with a tiled bitmap. Written once over the vector layer; included by each instruction set.
//
// Lanes are rows and the activations are broadcast, so there is no horizontal sum; the only serial chain is the value
// pointer, one population count per column.

// One whole panel, expanded straight into the products of up to DIRECT_TOKENS tokens.
ALWAYS_INLINE void panel_direct(
    const uint32_t *masks, const uint16_t *values, const enum flash_element element, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t rows, const int tokens) {
    // With one token two independent sums per vector hide the latency of the fused multiply-add.
    const int sets = tokens == 1 ? 2 : 1;
    vec sums[2][DIRECT_TOKENS][PANEL_PARTS];
    UNROLL for (int s = 0; s < sets; s++) {
        UNROLL for (int t = 0; t < tokens; t++) {
            UNROLL for (int p = 0; p < PANEL_PARTS; p++) sums[s][t][p] = vec_zero();
        }
    }
    int64_t k = 0;
    for (; k + 2 <= columns; k += 2) {
        // 8 KB and 2 KB ahead: about 400 ns of streaming, the latency of memory.
        __builtin_prefetch(values + 4096);
        __builtin_prefetch(masks + k + 512);
        UNROLL for (int s = 0; s < 2; s++) {
            vec weights[PANEL_PARTS];
            values = vec_expand(masks + k + s, values, element, weights);
            UNROLL for (int t = 0; t < tokens; t++) {
                vec activation = vec_broadcast(input[t * input_stride + k + s]);
                UNROLL for (int p = 0; p < PANEL_PARTS; p++)
                    sums[s % sets][t][p] = vec_fma(weights[p], activation, sums[s % sets][t][p]);
            }
        }
    }
    if (k < columns) {
        vec weights[PANEL_PARTS];
        vec_expand(masks + k, values, element, weights);
        UNROLL for (int t = 0; t < tokens; t++) {
            vec activation = vec_broadcast(input[t * input_stride + k]);
            UNROLL for (int p = 0; p < PANEL_PARTS; p++) sums[0][t][p] = vec_fma(weights[p], activation, sums[0][t][p]);
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int p = 0; p < PANEL_PARTS; p++) {
            vec sum = sets == 2 ? vec_add(sums[0][t][p], sums[1][t][p]) : sums[0][t][p];
            store_panel_part(output + t * output_stride + p * LANES, sum, rows - p * LANES, 0);
        }
    }
}

#define PANEL_DIRECT_CASE(n)                                                                                    \
    case n:                                                                                                     \
        if (n <= DIRECT_TOKENS)                                                                                 \
            panel_direct(                                                                                       \
                masks, values, element, columns, input, input_stride, output, output_stride, rows,              \
                n <= DIRECT_TOKENS ? n : 1);                                                                    \
        break;

ALWAYS_INLINE void panel_direct_tokens(
    const uint32_t *masks, const uint16_t *values, const enum flash_element element, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t rows, int64_t tokens) {
    switch (tokens) {
        PANEL_DIRECT_CASE(1) PANEL_DIRECT_CASE(2) PANEL_DIRECT_CASE(3) PANEL_DIRECT_CASE(4)
        PANEL_DIRECT_CASE(5) PANEL_DIRECT_CASE(6) PANEL_DIRECT_CASE(7) PANEL_DIRECT_CASE(8)
    }
}

// One whole panel for any number of tokens: a stretch of columns is expanded into scratch memory once and multiplied
// with all tokens before the next stretch.
ALWAYS_INLINE void panel_expanded(
    const uint32_t *masks, const uint16_t *values, const enum flash_element element, int64_t columns,
    const float *input, int64_t input_stride, float *output, int64_t output_stride, int64_t rows, int64_t tokens,
    float *panel) {
    for (int64_t c = 0; c < columns; c += PANEL_COLUMNS) {
        const int64_t width = columns - c < PANEL_COLUMNS ? columns - c : PANEL_COLUMNS;
        for (int64_t k = 0; k < width; k++) {
            vec weights[PANEL_PARTS];
            values = vec_expand(masks + c + k, values, element, weights);
            float *target = panel + k * FLASH_PANEL_ROWS;
            UNROLL for (int p = 0; p < PANEL_PARTS; p++) vec_store(target + p * LANES, weights[p]);
        }
        panel_tokens(panel, width, input + c, input_stride, output, output_stride, rows, c > 0, tokens);
    }
}

ALWAYS_INLINE void bitmap_rows(
    const struct flash_tiled_bitmap *matrix, const enum flash_element element, int64_t first_row, int64_t end_row,
    const struct flash_operands *operands) {
    int64_t block = operands->tokens <= DIRECT_TOKENS ? operands->tokens : PANEL_RESIDENT_TOKENS;
    for (int64_t t = 0; t < operands->tokens; t += block) {
        const int64_t tokens = operands->tokens - t < block ? operands->tokens - t : block;
        const float *input = operands->input + t * operands->input_stride;
        for (int64_t row = first_row; row < end_row; row += FLASH_PANEL_ROWS) {
            const int64_t panel = row / FLASH_PANEL_ROWS;
            const uint32_t *masks = matrix->masks + panel * matrix->columns;
            const uint16_t *values = matrix->values + matrix->panel_offsets[panel];
            float *output = operands->output + t * operands->output_stride + row;
            const int64_t rows = end_row - row;
            if (tokens <= DIRECT_TOKENS) {
                panel_direct_tokens(
                    masks, values, element, matrix->columns, input, operands->input_stride, output,
                    operands->output_stride, rows, tokens);
            } else {
                panel_expanded(
                    masks, values, element, matrix->columns, input, operands->input_stride, output,
                    operands->output_stride, rows, tokens, operands->scratch);
            }
        }
    }
}

static void product_tiled_bitmap(
    const struct flash_tiled_bitmap *matrix, int64_t first_row, int64_t end_row,
    const struct flash_operands *operands) {
    if (operands->transposed != NULL) {
        product_zero_skipping(matrix, first_row, end_row, operands);
    } else if (matrix->element == FLASH_F16) {
        bitmap_rows(matrix, FLASH_F16, first_row, end_row, operands);
    } else {
        bitmap_rows(matrix, FLASH_BF16, first_row, end_row, operands);
    }
}
