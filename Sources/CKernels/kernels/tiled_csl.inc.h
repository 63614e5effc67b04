// Products with Tiled-CSL: load as sparse, compute as dense. Words are scattered into a dense 16-bit tile in cache,
// which is then multiplied like any dense matrix.

// ---- Few tokens: one tile at a time, in the first-level cache -------------------------------------------------------

#define TILE_AREA (FLASH_CSL_TILE_ROWS * FLASH_CSL_TILE_COLUMNS)
// Rows r, r + 8, r + 16, ... of a tile have their columns swizzled alike.
#define SWIZZLES 8

// Memory of the path for few tokens, in the scratch of one thread.
struct csl_workspace {
    uint16_t tile[TILE_AREA];                                        // scattered as the positions say, swizzle and all
    float inputs[DOT_TOKENS][SWIZZLES][FLASH_CSL_TILE_COLUMNS];      // activations in each swizzle's order
    float sums[DOT_TOKENS][FLASH_CSL_TILE_ROWS][LANES];              // each row's sum so far, lane by lane
};

_Static_assert(sizeof(struct csl_workspace) <= FLASH_SCRATCH_BYTES, "the workspace must fit the scratch memory");

static void scatter_tile(const uint32_t *words, const uint32_t *end, uint16_t *tile) {
    __builtin_memset(tile, 0, TILE_AREA * sizeof *tile);
    for (; end - words >= 16; words += 16) {
        __builtin_prefetch(words + 2048);  // 8 KB ahead, as for the bitmap
        UNROLL for (int i = 0; i < 16; i++) tile[words[i] >> 16 & (TILE_AREA - 1)] = (uint16_t)words[i];
    }
    for (; words < end; words++) tile[*words >> 16 & (TILE_AREA - 1)] = (uint16_t)*words;
}

// The 64 activations that face a tile, in the order of each swizzle: permuting them once spares undoing the swizzle of
// every weight. Columns beyond the matrix are zero.
static void swizzle_inputs(
    const float *input, int64_t columns, float inputs[SWIZZLES][FLASH_CSL_TILE_COLUMNS]) {
    for (int64_t swizzle = 0; swizzle < SWIZZLES; swizzle++) {
        for (int64_t place = 0; place < FLASH_CSL_TILE_COLUMNS; place += 8) {
            const int64_t column = place ^ swizzle << 3;
            for (int64_t i = 0; i < 8; i++)
                inputs[swizzle][place + i] = column + i < columns ? input[column + i] : 0;
        }
    }
}

ALWAYS_INLINE void csl_tile_products(
    struct csl_workspace *workspace, const enum flash_element element, int64_t rows, const int tokens) {
    for (int64_t r = 0; r < rows; r++) {
        vec sums[DOT_TOKENS];
        UNROLL for (int t = 0; t < tokens; t++) sums[t] = vec_load(workspace->sums[t][r]);
        UNROLL for (int c = 0; c < FLASH_CSL_TILE_COLUMNS; c += LANES) {
            vec weight = vec_load_element(workspace->tile, r * FLASH_CSL_TILE_COLUMNS + c, element);
            UNROLL for (int t = 0; t < tokens; t++)
                sums[t] = vec_fma(weight, vec_load(&workspace->inputs[t][r % SWIZZLES][c]), sums[t]);
        }
        UNROLL for (int t = 0; t < tokens; t++) vec_store(workspace->sums[t][r], sums[t]);
    }
}

#define CSL_CASE(n)                                                                                            \
    case n:                                                                                                    \
        if (n <= DOT_TOKENS) csl_tile_products(workspace, element, rows, n <= DOT_TOKENS ? n : 1);             \
        break;

ALWAYS_INLINE void csl_tile_tokens(
    struct csl_workspace *workspace, const enum flash_element element, int64_t rows, int64_t tokens) {
    switch (tokens) { CSL_CASE(1) CSL_CASE(2) CSL_CASE(3) CSL_CASE(4) CSL_CASE(5) CSL_CASE(6) }
}

// One row of tiles times up to DOT_TOKENS tokens.
static void csl_few_tokens(
    const struct flash_tiled_csl *matrix, int64_t row, int64_t rows, const struct flash_operands *operands) {
    struct csl_workspace *workspace = operands->scratch;
    const int64_t tile_columns = (matrix->columns + FLASH_CSL_TILE_COLUMNS - 1) / FLASH_CSL_TILE_COLUMNS;
    const int32_t *offsets = matrix->tile_offsets + row / FLASH_CSL_TILE_ROWS * tile_columns;
    for (int64_t t = 0; t < operands->tokens; t++)
        __builtin_memset(workspace->sums[t], 0, sizeof workspace->sums[t]);
    for (int64_t tile = 0; tile < tile_columns; tile++) {
        const int64_t column = tile * FLASH_CSL_TILE_COLUMNS;
        scatter_tile(
            matrix->words + (int64_t)offsets[tile] * 4, matrix->words + (int64_t)offsets[tile + 1] * 4,
            workspace->tile);
        for (int64_t t = 0; t < operands->tokens; t++)
            swizzle_inputs(
                operands->input + t * operands->input_stride + column, matrix->columns - column, workspace->inputs[t]);
        if (matrix->element == FLASH_F16) {
            csl_tile_tokens(workspace, FLASH_F16, rows, operands->tokens);
        } else {
            csl_tile_tokens(workspace, FLASH_BF16, rows, operands->tokens);
        }
    }
    for (int64_t t = 0; t < operands->tokens; t++) {
        for (int64_t r = 0; r < rows; r++)
            operands->output[t * operands->output_stride + row + r] = vec_sum(vec_load(workspace->sums[t][r]));
    }
}

// ---- Many tokens: a wide strip in the second-level cache, then the dense kernel -------------------------------------

// 128 x 1024 x 2 bytes = 256 KB; wide, so that the horizontal sums of the dense kernel spread over many columns.
#define STRIP_COLUMNS 1024
#define STRIP_BYTES (FLASH_CSL_TILE_ROWS * STRIP_COLUMNS * 2)

_Static_assert(
    STRIP_BYTES + sizeof(union dense_scratch) <= FLASH_SCRATCH_BYTES, "the strip and the dense product must fit");

static void csl_many_tokens(
    const struct flash_tiled_csl *matrix, int64_t row, int64_t rows, const struct flash_operands *operands) {
    const int64_t tile_columns = (matrix->columns + FLASH_CSL_TILE_COLUMNS - 1) / FLASH_CSL_TILE_COLUMNS;
    const int64_t strip_tiles = STRIP_COLUMNS / FLASH_CSL_TILE_COLUMNS;
    uint16_t *strip = operands->scratch;
    union dense_scratch *scratch = (union dense_scratch *)((char *)operands->scratch + STRIP_BYTES);
    const int32_t *offsets = matrix->tile_offsets + row / FLASH_CSL_TILE_ROWS * tile_columns;
    for (int64_t tile = 0; tile < tile_columns; tile += strip_tiles) {
        const int64_t tiles = tile_columns - tile < strip_tiles ? tile_columns - tile : strip_tiles;
        __builtin_memset(strip, 0, STRIP_BYTES);
        for (int64_t i = 0; i < tiles; i++) {
            const uint32_t *word = matrix->words + (int64_t)offsets[tile + i] * 4;
            const uint32_t *end = matrix->words + (int64_t)offsets[tile + i + 1] * 4;
            uint16_t *target = strip + i * FLASH_CSL_TILE_COLUMNS;
            for (; word < end; word++) {
                const uint32_t r = *word >> 22 & 127;
                const uint32_t c = (*word >> 16 ^ (r & 7) << 3) & 63;
                target[r * STRIP_COLUMNS + c] = (uint16_t)*word;
            }
        }
        const int64_t column = tile * FLASH_CSL_TILE_COLUMNS;
        const int64_t columns = matrix->columns - column < tiles * FLASH_CSL_TILE_COLUMNS
                                    ? matrix->columns - column
                                    : tiles * FLASH_CSL_TILE_COLUMNS;
        dense_rows(
            strip, STRIP_COLUMNS, matrix->element, rows, columns, operands->input + column, operands->input_stride,
            operands->output + row, operands->output_stride, operands->tokens, tile > 0, scratch);
    }
}

static void product_tiled_csl(
    const struct flash_tiled_csl *matrix, int64_t first_row, int64_t end_row, const struct flash_operands *operands) {
    for (int64_t row = first_row; row < end_row; row += FLASH_CSL_TILE_ROWS) {
        const int64_t rows = end_row - row < FLASH_CSL_TILE_ROWS ? end_row - row : FLASH_CSL_TILE_ROWS;
        (operands->tokens <= DOT_TOKENS ? csl_few_tokens : csl_many_tokens)(matrix, row, rows, operands);
    }
}
