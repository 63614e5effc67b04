// Products of a tiled bitmap with many tokens that skip the zeros: lanes are tokens, and each stored weight is
// multiplied with its row of the transposed activations. Arithmetic falls with the density, which expansion cannot
// offer; decoding a weight costs about as much as multiplying it with 32 tokens, so it takes at least that many to pay.
//
// The bits of a panel come column by column; products want them row by row. As many panels as fit the second-level
// cache are turned into lists, one per row and block of columns, and used for all tokens.

// Columns of one block: their transposed activations stay in the first-level cache (16 KB on AVX2, 32 KB on AVX-512)
// while all rows pass over them.
#define SKIP_COLUMNS 128
// A list entry takes 8 bytes: 512 KB, in the second-level cache.
#define SKIP_ENTRIES 65536
// Bounds of what is listed at once; a longer panel is cut into stretches of SKIP_STRETCH columns, which always fit.
#define SKIP_ROWS 256
#define SKIP_BLOCKS 64
#define SKIP_STRETCH (SKIP_ENTRIES / FLASH_PANEL_ROWS)
#define SKIP_VECTORS (SKIP_TOKENS / LANES)

// One stored weight: its value and where in the block its column's activations lie.
struct skip_entry {
    float value;
    uint32_t offset;  // bytes
};

struct skip_scratch {
    struct skip_entry entries[SKIP_ENTRIES];
    // Entries of each row in each block; the lists lie behind each other block by block, row by row.
    uint8_t counts[SKIP_BLOCKS][SKIP_ROWS];
    float sums[SKIP_ROWS * SKIP_TOKENS];
    // One panel's block in the order of its bits. Written eight at a time, hence the room behind.
    float values[FLASH_PANEL_ROWS * SKIP_COLUMNS];
    uint8_t rows[FLASH_PANEL_ROWS * SKIP_COLUMNS + 8];
    uint16_t columns[FLASH_PANEL_ROWS * SKIP_COLUMNS + 8];
};
_Static_assert(sizeof(struct skip_scratch) <= FLASH_SCRATCH_BYTES, "zero skipping needs more scratch memory");

// For each byte the numbers of its set bits, in ascending order.
#define BIT_NUMBER(m, n)                                                                                              \
    (__builtin_popcount((m) & 1) > (n)     ? 0                                                                       \
     : __builtin_popcount((m) & 3) > (n)   ? 1                                                                       \
     : __builtin_popcount((m) & 7) > (n)   ? 2                                                                       \
     : __builtin_popcount((m) & 15) > (n)  ? 3                                                                       \
     : __builtin_popcount((m) & 31) > (n)  ? 4                                                                       \
     : __builtin_popcount((m) & 63) > (n)  ? 5                                                                       \
     : __builtin_popcount((m) & 127) > (n) ? 6                                                                       \
                                           : 7)
#define BIT_NUMBERS(m)                                                                                               \
    {                                                                                                                \
        BIT_NUMBER(m, 0), BIT_NUMBER(m, 1), BIT_NUMBER(m, 2), BIT_NUMBER(m, 3), BIT_NUMBER(m, 4), BIT_NUMBER(m, 5),  \
            BIT_NUMBER(m, 6), BIT_NUMBER(m, 7),                                                                      \
    }
#define BIT_NUMBERS_4(m) BIT_NUMBERS(m), BIT_NUMBERS((m) + 1), BIT_NUMBERS((m) + 2), BIT_NUMBERS((m) + 3)
#define BIT_NUMBERS_16(m) BIT_NUMBERS_4(m), BIT_NUMBERS_4((m) + 4), BIT_NUMBERS_4((m) + 8), BIT_NUMBERS_4((m) + 12)
#define BIT_NUMBERS_64(m)                                                                                            \
    BIT_NUMBERS_16(m), BIT_NUMBERS_16((m) + 16), BIT_NUMBERS_16((m) + 32), BIT_NUMBERS_16((m) + 48)
static const uint8_t bit_numbers[256][8] = {
    BIT_NUMBERS_64(0), BIT_NUMBERS_64(64), BIT_NUMBERS_64(128), BIT_NUMBERS_64(192)};

// Rows and columns of a panel's stored elements in the order of their bits, without a branch that could be
// mispredicted; counts them by row.
static int64_t skip_positions(
    const uint32_t *masks, int64_t columns, uint8_t *row, uint16_t *column, uint32_t counts[FLASH_PANEL_ROWS]) {
    int64_t stored = 0;
    for (int64_t r = 0; r < FLASH_PANEL_ROWS; r++) counts[r] = 0;
    for (int64_t k = 0; k < columns; k++) {
        const uint32_t mask = masks[k];
        for (int64_t r = 0; r < FLASH_PANEL_ROWS; r++) counts[r] += mask >> r & 1;
        UNROLL for (int byte = 0; byte < 4; byte++) {
            const uint32_t bits = mask >> (8 * byte) & 0xFF;
            uint64_t numbers;
            __builtin_memcpy(&numbers, bit_numbers[bits], 8);
            numbers += 0x0808080808080808u * (uint64_t)byte;
            __builtin_memcpy(row + stored, &numbers, 8);
            for (int i = 0; i < 8; i++) column[stored + i] = (uint16_t)k;
            stored += __builtin_popcount(bits);
        }
    }
    return stored;
}

// Lists one panel's block of columns from `entries` on; returns how many values that took.
static int64_t skip_list(
    const uint32_t *masks, const uint16_t *values, enum flash_element element, int64_t columns,
    struct skip_scratch *scratch, struct skip_entry *entries, uint8_t *row_counts) {
    uint32_t counts[FLASH_PANEL_ROWS];
    const int64_t stored = skip_positions(masks, columns, scratch->rows, scratch->columns, counts);
    widen(values, element, stored, scratch->values);
    struct skip_entry *next[FLASH_PANEL_ROWS];
    for (int64_t r = 0; r < FLASH_PANEL_ROWS; r++) {
        next[r] = entries;
        entries += counts[r];
        row_counts[r] = (uint8_t)counts[r];
    }
    for (int64_t i = 0; i < stored; i++) {
        const uint32_t offset = scratch->columns[i] * (uint32_t)(SKIP_TOKENS * sizeof(float));
        *next[scratch->rows[i]]++ = (struct skip_entry){.value = scratch->values[i], .offset = offset};
    }
    return stored;
}

// One row's list times the tokens of `vectors` vectors, added to `sums`.
ALWAYS_INLINE void skip_row(
    const struct skip_entry *entries, int64_t count, const float *activations, float *sums, const int vectors) {
    // Two sets hide the latency of the multiply-add.
    vec totals[2][SKIP_VECTORS];
    UNROLL for (int v = 0; v < vectors; v++) {
        totals[0][v] = vec_load(sums + v * LANES);
        totals[1][v] = vec_zero();
    }
    int64_t i = 0;
    for (; i + 2 <= count; i += 2) {
        UNROLL for (int s = 0; s < 2; s++) {
            const vec value = vec_broadcast(entries[i + s].value);
            const float *x = (const float *)((const uint8_t *)activations + entries[i + s].offset);
            UNROLL for (int v = 0; v < vectors; v++)
                totals[s][v] = vec_fma(value, vec_load(x + v * LANES), totals[s][v]);
        }
    }
    if (i < count) {
        const vec value = vec_broadcast(entries[i].value);
        const float *x = (const float *)((const uint8_t *)activations + entries[i].offset);
        UNROLL for (int v = 0; v < vectors; v++) totals[0][v] = vec_fma(value, vec_load(x + v * LANES), totals[0][v]);
    }
    UNROLL for (int v = 0; v < vectors; v++) vec_store(sums + v * LANES, vec_add(totals[0][v], totals[1][v]));
}

// All rows of one block of columns; returns where the next block's lists begin.
ALWAYS_INLINE const struct skip_entry *skip_block(
    const struct skip_entry *entries, const uint8_t *counts, int64_t rows, const float *activations, float *sums,
    const int vectors) {
    for (int64_t r = 0; r < rows; r++) {
        skip_row(entries, counts[r], activations, sums + r * SKIP_TOKENS, vectors);
        entries += counts[r];
    }
    return entries;
}

// One token block over all listed blocks of columns.
ALWAYS_INLINE void skip_tokens(
    struct skip_scratch *scratch, int64_t blocks, int64_t rows, const float *activations, const int vectors) {
    const struct skip_entry *entries = scratch->entries;
    for (int64_t block = 0; block < blocks; block++)
        entries = skip_block(
            entries, scratch->counts[block], rows, activations + block * SKIP_COLUMNS * SKIP_TOKENS, scratch->sums,
            vectors);
}

// `rows` rows from `row` on, times all tokens, over the columns from `first` to `end`; `cursors` says where each
// panel's values continue.
static void skip_stretch(
    const struct flash_tiled_bitmap *matrix, int64_t row, int64_t rows, int64_t first, int64_t end,
    const uint16_t **cursors, const struct flash_operands *operands) {
    struct skip_scratch *scratch = operands->scratch;
    const int64_t panels = (rows + FLASH_PANEL_ROWS - 1) / FLASH_PANEL_ROWS;
    const int64_t blocks = (end - first + SKIP_COLUMNS - 1) / SKIP_COLUMNS;
    struct skip_entry *entries = scratch->entries;
    for (int64_t block = 0; block < blocks; block++) {
        const int64_t column = first + block * SKIP_COLUMNS;
        const int64_t width = end - column < SKIP_COLUMNS ? end - column : SKIP_COLUMNS;
        for (int64_t panel = 0; panel < panels; panel++) {
            const int64_t stored = skip_list(
                matrix->masks + (row / FLASH_PANEL_ROWS + panel) * matrix->columns + column, cursors[panel],
                matrix->element, width, scratch, entries, scratch->counts[block] + panel * FLASH_PANEL_ROWS);
            cursors[panel] += stored;
            entries += stored;
        }
    }
    const int64_t padded = panels * FLASH_PANEL_ROWS;
    for (int64_t t = 0; t < operands->tokens; t += SKIP_TOKENS) {
        const int64_t tokens = operands->tokens - t < SKIP_TOKENS ? operands->tokens - t : SKIP_TOKENS;
        const float *activations = operands->transposed + t * matrix->columns + first * SKIP_TOKENS;
        float *output = operands->output + t * operands->output_stride + row;
        for (int64_t r = 0; r < padded; r++)
            for (int64_t i = 0; i < SKIP_TOKENS; i++)
                scratch->sums[r * SKIP_TOKENS + i] =
                    first > 0 && r < rows && i < tokens ? output[i * operands->output_stride + r] : 0;
        switch ((tokens + LANES - 1) / LANES) {
            case 1: skip_tokens(scratch, blocks, padded, activations, 1); break;
            case 2: skip_tokens(scratch, blocks, padded, activations, 2); break;
            case 3: skip_tokens(scratch, blocks, padded, activations, 3); break;
            default: skip_tokens(scratch, blocks, padded, activations, SKIP_VECTORS); break;
        }
        for (int64_t i = 0; i < tokens; i++)
            for (int64_t r = 0; r < rows; r++)
                output[i * operands->output_stride + r] = scratch->sums[r * SKIP_TOKENS + i];
    }
}

static void product_zero_skipping(
    const struct flash_tiled_bitmap *matrix, int64_t first_row, int64_t end_row,
    const struct flash_operands *operands) {
    const int64_t end_panel = (end_row + FLASH_PANEL_ROWS - 1) / FLASH_PANEL_ROWS;
    for (int64_t panel = first_row / FLASH_PANEL_ROWS; panel < end_panel;) {
        const uint64_t *offsets = matrix->panel_offsets + panel;
        int64_t count = 1;
        while (panel + count < end_panel && count < SKIP_ROWS / FLASH_PANEL_ROWS &&
               offsets[count + 1] - offsets[0] <= SKIP_ENTRIES)
            count++;
        const int isWhole =
            offsets[count] - offsets[0] <= SKIP_ENTRIES && matrix->columns <= SKIP_BLOCKS * SKIP_COLUMNS;
        if (!isWhole) count = 1;
        const uint16_t *cursors[SKIP_ROWS / FLASH_PANEL_ROWS];
        for (int64_t i = 0; i < count; i++) cursors[i] = matrix->values + offsets[i];
        const int64_t row = panel * FLASH_PANEL_ROWS, limit = count * FLASH_PANEL_ROWS;
        const int64_t rows = end_row - row < limit ? end_row - row : limit;
        const int64_t stretch = isWhole ? matrix->columns : SKIP_STRETCH;
        for (int64_t first = 0; first < matrix->columns; first += stretch) {
            const int64_t end = first + stretch < matrix->columns ? first + stretch : matrix->columns;
            skip_stretch(matrix, row, rows, first, end, cursors, operands);
        }
        panel += count;
    }
}

// Up to SKIP_TOKENS tokens as `[columns, SKIP_TOKENS]`, zeros behind the last.
static void transpose(const float *input, int64_t input_stride, int64_t tokens, int64_t columns, float *output) {
    for (int64_t k = 0; k < columns; k += LANES) {
        const int64_t width = columns - k < LANES ? columns - k : LANES;
        for (int64_t t = 0; t < SKIP_TOKENS; t += LANES) {
            vec tile[LANES];
            load_columns(input + t * input_stride + k, input_stride, tokens - t, width, tile);
            for (int64_t i = 0; i < width; i++) vec_store(output + (k + i) * SKIP_TOKENS + t, tile[i]);
        }
    }
}
