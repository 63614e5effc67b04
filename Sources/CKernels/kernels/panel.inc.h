// Products of many tokens with a panel: 32 rows of a matrix of any format, written into scratch memory as float32 by
// columns. Lanes are rows and the activations are broadcast. Included by each instruction set.

// The largest magnitude of `count` elements; NaN if there is a NaN or an infinity.
ALWAYS_INLINE float finite_magnitude(const float *input, int64_t count) {
    vec largest = vec_zero(), check = vec_zero();
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = count - i >= LANES ? vec_load(input + i) : vec_load_part(input + i, count - i);
        largest = vec_max(largest, vec_max(x, vec_sub(vec_zero(), x)));
        check = vec_fma(x, vec_zero(), check);  // NaN if there is a NaN or an infinity
    }
    return vec_sum(check) == 0 ? vec_max_lane(largest) : NAN;
}

// Columns of a panel: 256 x 32 float32 = 32 KB.
#define PANEL_COLUMNS 256
// Inputs of PANEL_COLUMNS columns for this many tokens take 192 KB of the second-level cache.
#define PANEL_RESIDENT_TOKENS 192

// PANEL_VECTORS vectors of rows x T tokens from an expanded panel `[columns, 32]`.
ALWAYS_INLINE void panel_block(
    const float *panel, int64_t columns, const float *input, int64_t input_stride, float *output,
    int64_t output_stride, int64_t rows, int accumulate, const int tokens) {
    vec sums[PANEL_TOKENS][PANEL_VECTORS];
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int p = 0; p < PANEL_VECTORS; p++) sums[t][p] = vec_zero();
    }
    for (int64_t k = 0; k < columns; k++) {
        vec weights[PANEL_VECTORS];
        UNROLL for (int p = 0; p < PANEL_VECTORS; p++)
            weights[p] = vec_load(panel + k * FLASH_PANEL_ROWS + p * LANES);
        UNROLL for (int t = 0; t < tokens; t++) {
            vec activation = vec_broadcast(input[t * input_stride + k]);
            UNROLL for (int p = 0; p < PANEL_VECTORS; p++) sums[t][p] = vec_fma(weights[p], activation, sums[t][p]);
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int p = 0; p < PANEL_VECTORS; p++)
            store_panel_part(output + t * output_stride + p * LANES, sums[t][p], rows - p * LANES, accumulate);
    }
}

#define PANEL_BLOCK_CASE(n)                                                                                     \
    case n:                                                                                                     \
        if (n <= PANEL_TOKENS)                                                                                  \
            panel_block(                                                                                        \
                panel, columns, input, input_stride, output, output_stride, rows, accumulate,                   \
                n <= PANEL_TOKENS ? n : 1);                                                                     \
        break;

static void panel_block_tokens(
    const float *panel, int64_t columns, const float *input, int64_t input_stride, float *output,
    int64_t output_stride, int64_t rows, int accumulate, int64_t tokens) {
    switch (tokens) {
        PANEL_BLOCK_CASE(1) PANEL_BLOCK_CASE(2) PANEL_BLOCK_CASE(3) PANEL_BLOCK_CASE(4) PANEL_BLOCK_CASE(5)
        PANEL_BLOCK_CASE(6) PANEL_BLOCK_CASE(7) PANEL_BLOCK_CASE(8) PANEL_BLOCK_CASE(9) PANEL_BLOCK_CASE(10)
        PANEL_BLOCK_CASE(11) PANEL_BLOCK_CASE(12)
    }
}

// All tokens with one panel `[columns, 32]` of `rows` rows.
static void panel_tokens(
    const float *panel, int64_t columns, const float *input, int64_t input_stride, float *output,
    int64_t output_stride, int64_t rows, int accumulate, int64_t tokens) {
    const int64_t even = even_group(tokens, PANEL_TOKENS);
    for (int64_t t = 0; t < tokens; t += even) {
        const int64_t group = tokens - t < even ? tokens - t : even;
        for (int64_t r = 0; r < FLASH_PANEL_ROWS && r < rows; r += PANEL_VECTORS * LANES)
            panel_block_tokens(
                panel + r, columns, input + t * input_stride, input_stride, output + t * output_stride + r,
                output_stride, rows - r, accumulate, group);
    }
}
