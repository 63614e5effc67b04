// Products of float32 matrices with both operands rounded to bf16, for training: the instruction multiplies two pairs
// in the time of one float32 multiply-add. Sums are float32. Needs vectors/avx512_bf16.h.
//
// Lanes are rows, as in panel.inc.h, and a lane holds a pair of neighbouring columns.

// Columns of a panel: 128 pairs x 32 rows = 16 KB, half of the first-level cache.
#define PAIR_COLUMNS 256
// Tokens that a panel is rounded for at most: they take 192 KB of the second-level cache.
#define PAIR_TOKENS 384

struct pair_scratch {
    uint32_t panel[PAIR_COLUMNS / 2][FLASH_PANEL_ROWS];
    uint32_t tokens[PAIR_TOKENS][PAIR_COLUMNS / 2];
};
_Static_assert(sizeof(struct pair_scratch) <= FLASH_SCRATCH_BYTES, "the operands must fit the scratch memory");

// The first `count`, one at least, of 2 * LANES elements as pairs, zeros behind them.
ALWAYS_INLINE ivec load_pairs(const float *p, int64_t count) {
    if (count >= 2 * LANES) return vec_round_pairs(vec_load(p), vec_load(p + LANES));
    return vec_round_pairs(
        count >= LANES ? vec_load(p) : vec_load_part(p, count),
        count > LANES ? vec_load_part(p + LANES, count - LANES) : vec_zero());
}

// Up to 32 rows of up to PAIR_COLUMNS columns, `[pairs, 32]`; rows and columns that are missing are zeros.
static void round_panel(
    const float *weights, int64_t stride, int64_t rows, int64_t columns, uint32_t (*panel)[FLASH_PANEL_ROWS]) {
    for (int64_t r = 0; r < FLASH_PANEL_ROWS; r += LANES) {
        for (int64_t k = 0; k < columns; k += 2 * LANES) {
            vec tile[LANES];
            UNROLL for (int i = 0; i < LANES; i++)
                tile[i] = r + i < rows ? vec_from_pairs(load_pairs(weights + (r + i) * stride + k, columns - k))
                                       : vec_zero();
            vec_transpose(tile);
            UNROLL for (int i = 0; i < LANES; i++) vec_store((float *)&panel[k / 2 + i][r], tile[i]);
        }
    }
}

// A panel times T tokens.
ALWAYS_INLINE void pair_block(
    const struct pair_scratch *scratch, int64_t first_token, int64_t pairs, float *output, int64_t output_stride,
    int64_t rows, int accumulate, const int tokens) {
    vec sums[PANEL_TOKENS][PANEL_PARTS];
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int p = 0; p < PANEL_PARTS; p++) sums[t][p] = vec_zero();
    }
    const uint32_t *activations = scratch->tokens[first_token];
    for (int64_t k = 0; k < pairs; k++) {
        ivec weights[PANEL_PARTS];
        UNROLL for (int p = 0; p < PANEL_PARTS; p++)
            weights[p] = ivec_load((const uint8_t *)&scratch->panel[k][p * LANES]);
        UNROLL for (int t = 0; t < tokens; t++) {
            const ivec activation = ivec_broadcast((int32_t)activations[t * (PAIR_COLUMNS / 2) + k]);
            UNROLL for (int p = 0; p < PANEL_PARTS; p++) sums[t][p] = vec_dot_pairs(sums[t][p], weights[p], activation);
        }
    }
    UNROLL for (int t = 0; t < tokens; t++) {
        UNROLL for (int p = 0; p < PANEL_PARTS; p++)
            store_panel_part(output + t * output_stride + p * LANES, sums[t][p], rows - p * LANES, accumulate);
    }
}

#define PAIR_BLOCK_CASE(n)                                                                                \
    case n: pair_block(scratch, first_token, pairs, output, output_stride, rows, accumulate, n); break;

static void pair_block_tokens(
    const struct pair_scratch *scratch, int64_t first_token, int64_t pairs, float *output, int64_t output_stride,
    int64_t rows, int accumulate, int64_t tokens) {
    switch (tokens) {
        PAIR_BLOCK_CASE(1) PAIR_BLOCK_CASE(2) PAIR_BLOCK_CASE(3) PAIR_BLOCK_CASE(4) PAIR_BLOCK_CASE(5)
        PAIR_BLOCK_CASE(6) PAIR_BLOCK_CASE(7) PAIR_BLOCK_CASE(8) PAIR_BLOCK_CASE(9) PAIR_BLOCK_CASE(10)
        PAIR_BLOCK_CASE(11) PAIR_BLOCK_CASE(12)
    }
}
_Static_assert(PANEL_TOKENS == 12, "a case for every number of tokens");

static void product_bf16(
    const struct flash_dense *matrix, int64_t first_row, int64_t end_row, const struct flash_operands *operands) {
    struct pair_scratch *scratch = operands->scratch;
    const float *weights = matrix->elements;
    const int64_t columns = matrix->columns;
    for (int64_t t = 0; t < operands->tokens; t += PAIR_TOKENS) {
        const int64_t tokens = operands->tokens - t < PAIR_TOKENS ? operands->tokens - t : PAIR_TOKENS;
        const int64_t even = even_group(tokens, PANEL_TOKENS);
        for (int64_t c = 0; c < columns; c += PAIR_COLUMNS) {
            const int64_t width = columns - c < PAIR_COLUMNS ? columns - c : PAIR_COLUMNS;
            for (int64_t i = 0; i < tokens; i++) {
                const float *input = operands->input + (t + i) * operands->input_stride + c;
                for (int64_t k = 0; k < width; k += 2 * LANES)
                    ivec_store((uint8_t *)&scratch->tokens[i][k / 2], load_pairs(input + k, width - k));
            }
            for (int64_t r = first_row; r < end_row; r += FLASH_PANEL_ROWS) {
                const int64_t rows = end_row - r;
                round_panel(weights + r * columns + c, columns, rows, width, scratch->panel);
                for (int64_t i = 0; i < tokens; i += even)
                    pair_block_tokens(
                        scratch, i, (width + 1) / 2, operands->output + (t + i) * operands->output_stride + r,
                        operands->output_stride, rows, c > 0, tokens - i < even ? tokens - i : even);
            }
        }
    }
}
