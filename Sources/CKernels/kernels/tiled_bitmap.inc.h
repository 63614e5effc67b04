// Products with a tiled bitmap. Written once over the vector layer; included by each instruction set.
//
// Lanes are rows and the activations are broadcast, so there is no horizontal sum; the only serial chain is the value
// pointer, one population count per column.

// Where an instruction set expands even and odd rows apart, f16 weights come with another exponent. Activations are
// scaled so that their largest has the exponent LARGEST_EXPONENT: whatever the weights and activations, products then
// stay far from both ends of float32.
#define LARGEST_EXPONENT 90
#ifndef HAS_EXPAND_EVEN_ODD
#define EXPAND_F16_EXPONENT 0
#define vec_expand_even_odd vec_expand
#define vec_join_even_odd(rows)
#endif
#define SCALES_INPUT(element) (EXPAND_F16_EXPONENT != 0 && (element) == FLASH_F16)

static inline float power_of_two(int exponent) {
    const uint32_t bits = (uint32_t)(exponent + 127) << 23;
    float power;
    __builtin_memcpy(&power, &bits, sizeof power);
    return power;
}

// The input of panel_direct, `[tokens, stride]`; if it is scaled, with the factors that undo that.
struct panel_input {
    const float *values;
    int64_t stride;
    float factors[DIRECT_TOKENS];
};

// Distance of two tokens of a scaled input: a line more than a multiple of one, so that they do not share a set of the
// first-level cache.
static int64_t scaled_stride(int64_t columns) { return (columns + LANES - 1) / LANES * LANES + 16; }

// Scales the input of a few tokens, each by a power of two. A token with a NaN or an infinity stays as it is.
static struct panel_input scaled_input(
    const float *input, int64_t input_stride, int64_t columns, int64_t tokens, float *scaled) {
    struct panel_input result = {.values = scaled, .stride = scaled_stride(columns)};
    for (int64_t t = 0; t < tokens; t++) {
        const float *x = input + t * input_stride;
        float *target = scaled + t * result.stride;
        const float magnitude = finite_magnitude(x, columns);
        int exponent = 0;
        if (!isnan(magnitude)) {
            uint32_t bits;
            __builtin_memcpy(&bits, &magnitude, sizeof bits);
            exponent = LARGEST_EXPONENT - ((int)(bits >> 23) - 127);
            if (exponent > 126) exponent = 126;
        }
        result.factors[t] = power_of_two(-exponent);
        const vec factor = vec_broadcast(power_of_two(exponent));
        for (int64_t k = 0; k < columns; k += LANES) {
            const vec part = columns - k >= LANES ? vec_load(x + k) : vec_load_part(x + k, columns - k);
            vec_store(target + k, vec_mul(part, factor));
        }
    }
    return result;
}

// One whole panel, expanded straight into the products of up to DIRECT_TOKENS tokens.
ALWAYS_INLINE void panel_direct(
    const uint32_t *masks, const uint16_t *values, const enum flash_element element, int64_t columns,
    const struct panel_input *input, float *output, int64_t output_stride, int64_t rows, const int tokens) {
    // With one token two independent sums per vector hide the latency of the fused multiply-add.
    const int sets = tokens == 1 ? 2 : 1;
    const float *const activations = input->values;
    const int64_t stride = input->stride;
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
            values = vec_expand_even_odd(masks + k + s, values, element, weights);
            UNROLL for (int t = 0; t < tokens; t++) {
                vec activation = vec_broadcast(activations[t * stride + k + s]);
                UNROLL for (int p = 0; p < PANEL_PARTS; p++)
                    sums[s % sets][t][p] = vec_fma(weights[p], activation, sums[s % sets][t][p]);
            }
        }
    }
    if (k < columns) {
        vec weights[PANEL_PARTS];
        vec_expand_even_odd(masks + k, values, element, weights);
        UNROLL for (int t = 0; t < tokens; t++) {
            vec activation = vec_broadcast(activations[t * stride + k]);
            UNROLL for (int p = 0; p < PANEL_PARTS; p++) sums[0][t][p] = vec_fma(weights[p], activation, sums[0][t][p]);
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) {
        vec totals[PANEL_PARTS];
        UNROLL for (int p = 0; p < PANEL_PARTS; p++)
            totals[p] = sets == 2 ? vec_add(sums[0][t][p], sums[1][t][p]) : sums[0][t][p];
        vec_join_even_odd(totals);
        UNROLL for (int p = 0; p < PANEL_PARTS; p++) {
            // In two steps, since the second may take what the first would overflow with.
            if (SCALES_INPUT(element))
                totals[p] = vec_mul(
                    vec_mul(totals[p], vec_broadcast(power_of_two(-EXPAND_F16_EXPONENT))),
                    vec_broadcast(input->factors[t]));
            store_panel_part(output + t * output_stride + p * LANES, totals[p], rows - p * LANES, 0);
        }
    }
}

#define PANEL_DIRECT_CASE(n)                                                                                    \
    case n:                                                                                                     \
        if (n <= DIRECT_TOKENS)                                                                                 \
            panel_direct(                                                                                       \
                masks, values, element, columns, input, output, output_stride, rows,                            \
                n <= DIRECT_TOKENS ? n : 1);                                                                    \
        break;

ALWAYS_INLINE void panel_direct_tokens(
    const uint32_t *masks, const uint16_t *values, const enum flash_element element, int64_t columns,
    const struct panel_input *input, float *output, int64_t output_stride, int64_t rows, int64_t tokens) {
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
            // The next stretch, which is wanted when all tokens are done with this one.
            __builtin_prefetch(values + 8192, 0, 2);
            __builtin_prefetch(masks + c + k + 512, 0, 2);
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
    const int64_t columns = matrix->columns;
    const int is_scaled = SCALES_INPUT(element);
    const int is_direct =
        operands->tokens <= DIRECT_TOKENS &&
        (!is_scaled || operands->tokens * scaled_stride(columns) * (int64_t)sizeof(float) <= FLASH_SCRATCH_BYTES);
    struct panel_input direct = {.values = operands->input, .stride = operands->input_stride};
    if (is_direct && is_scaled)
        direct = scaled_input(operands->input, operands->input_stride, columns, operands->tokens, operands->scratch);
    const int64_t block = is_direct ? operands->tokens : PANEL_RESIDENT_TOKENS;
    for (int64_t t = 0; t < operands->tokens; t += block) {
        const int64_t tokens = operands->tokens - t < block ? operands->tokens - t : block;
        for (int64_t row = first_row; row < end_row; row += FLASH_PANEL_ROWS) {
            const int64_t panel = row / FLASH_PANEL_ROWS;
            const uint32_t *masks = matrix->masks + panel * columns;
            const uint16_t *values = matrix->values + matrix->panel_offsets[panel];
            float *output = operands->output + t * operands->output_stride + row;
            const int64_t rows = end_row - row;
            if (is_direct) {
                panel_direct_tokens(
                    masks, values, element, columns, &direct, output, operands->output_stride, rows, tokens);
            } else {
                panel_expanded(
                    masks, values, element, columns, operands->input + t * operands->input_stride,
                    operands->input_stride, output, operands->output_stride, rows, tokens, operands->scratch);
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
