// Products with Tiled-CSL: load as sparse, compute as dense. The words of a stretch of tiles are scattered into a dense
// 16-bit strip in cache, which then goes through the dense kernel. The strip is undone by zeroing it whole: cheaper
// than a second pass over the words from about 1/16 density up.

// With few tokens a narrow strip stays in the first-level cache (128 x 128 x 2 bytes = 32 KB); with many a wide one
// (256 KB) spreads the horizontal sums over more columns.
#define NARROW_STRIP_COLUMNS 128
#define WIDE_STRIP_COLUMNS 1024
#define STRIP_BYTES (FLASH_CSL_TILE_ROWS * WIDE_STRIP_COLUMNS * 2)

_Static_assert(STRIP_BYTES + 4 * WIDE_COLUMNS * 4 <= FLASH_SCRATCH_BYTES, "the strip and the widened rows must fit");

static void product_tiled_csl(
    const struct flash_tiled_csl *matrix, int64_t first_row, int64_t end_row, const struct flash_operands *operands) {
    const int64_t tile_columns = (matrix->columns + FLASH_CSL_TILE_COLUMNS - 1) / FLASH_CSL_TILE_COLUMNS;
    const int64_t strip_columns = operands->tokens <= DOT_TOKENS ? NARROW_STRIP_COLUMNS : WIDE_STRIP_COLUMNS;
    const int64_t strip_tiles = strip_columns / FLASH_CSL_TILE_COLUMNS;
    uint16_t *strip = operands->scratch;
    float *wide_rows = (float *)((char *)operands->scratch + STRIP_BYTES);
    for (int64_t row = first_row; row < end_row; row += FLASH_CSL_TILE_ROWS) {
        const int64_t rows = end_row - row < FLASH_CSL_TILE_ROWS ? end_row - row : FLASH_CSL_TILE_ROWS;
        const int32_t *offsets = matrix->tile_offsets + row / FLASH_CSL_TILE_ROWS * tile_columns;
        for (int64_t tile = 0; tile < tile_columns; tile += strip_tiles) {
            const int64_t tiles = tile_columns - tile < strip_tiles ? tile_columns - tile : strip_tiles;
            __builtin_memset(strip, 0, (size_t)(FLASH_CSL_TILE_ROWS * strip_columns) * sizeof *strip);
            for (int64_t i = 0; i < tiles; i++) {
                const uint32_t *word = matrix->words + (int64_t)offsets[tile + i] * 4;
                const uint32_t *end = matrix->words + (int64_t)offsets[tile + i + 1] * 4;
                uint16_t *target = strip + i * FLASH_CSL_TILE_COLUMNS;
                for (; word < end; word++) {
                    const uint32_t r = *word >> 22 & 127;
                    const uint32_t c = (*word >> 16 ^ (r & 7) << 3) & 63;
                    target[r * strip_columns + c] = (uint16_t)*word;
                }
            }
            const int64_t column = tile * FLASH_CSL_TILE_COLUMNS;
            const int64_t columns = matrix->columns - column < tiles * FLASH_CSL_TILE_COLUMNS
                                        ? matrix->columns - column
                                        : tiles * FLASH_CSL_TILE_COLUMNS;
            dense_rows(
                strip, strip_columns, matrix->element, rows, columns, operands->input + column, operands->input_stride,
                operands->output + row, operands->output_stride, operands->tokens, tile > 0, wide_rows);
        }
    }
}
