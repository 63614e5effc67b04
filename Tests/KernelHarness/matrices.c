#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static float random_weight(enum magnitude magnitude, enum flash_element element) {
    const float sign = random_bits() & 1 ? 1 : -1;
    switch (magnitude) {
        case SUBNORMAL: return sign * (element == FLASH_F16 ? 0x1p-24f : 0x1p-133f) * (float)(1 + random_below(15));
        case HUGE_WEIGHTS: return sign * (element == FLASH_F16 ? 65504.0f : 0x1p60f) * random_float(0.5f, 1);
        default: return sign * random_float(0.01f, 2);
    }
}

struct matrix matrix_make(
    int64_t rows, int64_t columns, enum flash_element element, double density, enum magnitude magnitude) {
    const size_t size = element == FLASH_F32 ? 4 : 2;
    struct matrix matrix = {
        .rows = rows, .columns = columns, .element = element,
        .elements = guarded_make((size_t)(rows * columns) * size, 0),
        .values = malloc((size_t)(rows * columns) * sizeof(double)),
    };
    for (int64_t i = 0; i < rows * columns; i++) {
        const float value = random_float(0, 1) < density ? random_weight(magnitude, element) : 0;
        if (element == FLASH_F32) {
            ((float *)matrix.elements.bytes)[i] = value;
            matrix.values[i] = value;
            continue;
        }
        uint32_t word;
        memcpy(&word, &value, sizeof word);
        const uint16_t bits = element == FLASH_F16 ? flash_narrow_f16(value) : (uint16_t)(word >> 16);
        ((uint16_t *)matrix.elements.bytes)[i] = bits;
        matrix.values[i] = flash_widen_one(bits, element);
    }
    return matrix;
}

void matrix_free(struct matrix *matrix) {
    guarded_free(&matrix->elements);
    free(matrix->values);
}

static uint16_t bits_at(const struct matrix *matrix, int64_t row, int64_t column) {
    if (row >= matrix->rows || column >= matrix->columns) return 0;
    return ((const uint16_t *)matrix->elements.bytes)[row * matrix->columns + column];
}

// What was collected, in memory that ends at a guard page.
static const void *keep(struct encoded *encoded, const void *bytes, size_t count, size_t padding) {
    struct guarded memory = guarded_make(count, padding);
    if (count > 0) memcpy(memory.bytes, bytes, count);
    encoded->memory[encoded->memory_count++] = memory;
    return memory.bytes;
}

void encoded_free(struct encoded *encoded) {
    for (int i = 0; i < encoded->memory_count; i++) guarded_free(&encoded->memory[i]);
}

struct encoded encode_dense(const struct matrix *matrix) {
    return (struct encoded){
        .dense = {matrix->elements.bytes, matrix->element, matrix->rows, matrix->columns}, .memory_count = 0};
}

struct encoded encode_bitmap(const struct matrix *matrix) {
    const int64_t panels = (matrix->rows + FLASH_PANEL_ROWS - 1) / FLASH_PANEL_ROWS, columns = matrix->columns;
    uint32_t *masks = calloc((size_t)(panels * columns), sizeof *masks);
    uint16_t *values = malloc((size_t)(panels * FLASH_PANEL_ROWS * columns) * sizeof *values);
    uint64_t *offsets = calloc((size_t)panels + 1, sizeof *offsets), stored = 0;
    for (int64_t panel = 0; panel < panels; panel++) {
        for (int64_t k = 0; k < columns; k++) {
            for (int64_t r = 0; r < FLASH_PANEL_ROWS; r++) {
                const uint16_t bits = bits_at(matrix, panel * FLASH_PANEL_ROWS + r, k);
                if (bits == 0) continue;
                masks[panel * columns + k] |= 1u << r;
                values[stored++] = bits;
            }
        }
        offsets[panel + 1] = stored;
    }
    struct encoded encoded = {.memory_count = 0};
    encoded.bitmap = (struct flash_tiled_bitmap){
        .masks = keep(&encoded, masks, (size_t)(panels * columns) * sizeof *masks, 0),
        .values = keep(&encoded, values, stored * sizeof *values, FLASH_VALUE_PADDING * sizeof *values),
        .panel_offsets = keep(&encoded, offsets, ((size_t)panels + 1) * sizeof *offsets, 0),
        .element = matrix->element, .rows = matrix->rows, .columns = columns};
    free(masks);
    free(values);
    free(offsets);
    return encoded;
}

// The words of one tile, filled up to a multiple of four with zeros where the tile has some.
static int64_t csl_tile(const struct matrix *matrix, int64_t first_row, int64_t first_column, uint32_t *words) {
    int64_t count = 0;
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < FLASH_CSL_TILE_ROWS * FLASH_CSL_TILE_COLUMNS; i++) {
            const int64_t r = i / FLASH_CSL_TILE_COLUMNS, c = i % FLASH_CSL_TILE_COLUMNS;
            const uint16_t bits = bits_at(matrix, first_row + r, first_column + c);
            const int isTaken = pass == 0 ? bits != 0 : bits == 0 && count % 4 != 0;
            if (isTaken) words[count++] = bits | (uint32_t)(r * 64 + (c ^ (r % 8) << 3)) << 16;
        }
    }
    return count;
}

struct encoded encode_csl(const struct matrix *matrix) {
    const int64_t tile_rows = (matrix->rows + FLASH_CSL_TILE_ROWS - 1) / FLASH_CSL_TILE_ROWS;
    const int64_t tile_columns = (matrix->columns + FLASH_CSL_TILE_COLUMNS - 1) / FLASH_CSL_TILE_COLUMNS;
    const int64_t tiles = tile_rows * tile_columns;
    uint32_t *words = malloc((size_t)tiles * FLASH_CSL_TILE_ROWS * FLASH_CSL_TILE_COLUMNS * sizeof *words);
    int32_t *offsets = calloc((size_t)tiles + 1, sizeof *offsets);
    int64_t stored = 0;
    for (int64_t tile = 0; tile < tiles; tile++) {
        stored += csl_tile(
            matrix, tile / tile_columns * FLASH_CSL_TILE_ROWS, tile % tile_columns * FLASH_CSL_TILE_COLUMNS,
            words + stored);
        offsets[tile + 1] = (int32_t)(stored / 4);
    }
    struct encoded encoded = {.memory_count = 0};
    encoded.csl = (struct flash_tiled_csl){
        .words = keep(&encoded, words, (size_t)stored * sizeof *words, 0),
        .tile_offsets = keep(&encoded, offsets, ((size_t)tiles + 1) * sizeof *offsets, 0),
        .element = matrix->element, .rows = matrix->rows, .columns = matrix->columns};
    free(words);
    free(offsets);
    return encoded;
}

// The steps of one row: its elements, and zeros where a delta would leave 8 bits.
static int64_t ellpack_row(const struct matrix *matrix, int64_t row, uint8_t *deltas, uint16_t *values) {
    int64_t count = 0, last = 0;
    for (int64_t k = 0; k < matrix->columns; k++) {
        const uint16_t bits = bits_at(matrix, row, k);
        if (bits == 0) continue;
        for (; k - last > 255; last += 255) {
            deltas[count] = 255;
            values[count++] = 0;
        }
        deltas[count] = (uint8_t)(k - last);
        values[count++] = bits;
        last = k;
    }
    return count;
}

struct encoded encode_ellpack(const struct matrix *matrix) {
    const int64_t windows = (matrix->rows + FLASH_WINDOW_ROWS - 1) / FLASH_WINDOW_ROWS;
    const int64_t slices = (matrix->rows + FLASH_SLICE_ROWS - 1) / FLASH_SLICE_ROWS;
    const int64_t lanes = windows * FLASH_WINDOW_ROWS, longest = matrix->columns + matrix->columns / 255 + 1;
    uint8_t *lane_rows = malloc((size_t)lanes), *deltas = calloc((size_t)(lanes * longest), 1);
    uint16_t *values = calloc((size_t)(lanes * longest), sizeof *values);
    uint64_t *offsets = calloc((size_t)slices + 1, sizeof *offsets);
    uint8_t *row_deltas = malloc((size_t)longest);
    uint16_t *row_values = malloc((size_t)longest * sizeof *row_values);
    // Any permutation within the slices that exist is one: rows of a window change places at random.
    for (int64_t lane = 0; lane < lanes; lane++) lane_rows[lane] = (uint8_t)(lane % FLASH_WINDOW_ROWS);
    for (int64_t lane = 0; lane < slices * FLASH_SLICE_ROWS; lane++) {
        const int64_t first = lane / FLASH_WINDOW_ROWS * FLASH_WINDOW_ROWS;
        const int64_t end = first + FLASH_WINDOW_ROWS < slices * FLASH_SLICE_ROWS ? first + FLASH_WINDOW_ROWS
                                                                                  : slices * FLASH_SLICE_ROWS;
        const int64_t other = lane + random_below(end - lane);
        const uint8_t row = lane_rows[lane];
        lane_rows[lane] = lane_rows[other];
        lane_rows[other] = row;
    }
    for (int64_t slice = 0; slice < slices; slice++) {
        int64_t steps = 0;
        for (int64_t l = 0; l < FLASH_SLICE_ROWS; l++) {
            const int64_t lane = slice * FLASH_SLICE_ROWS + l;
            const int64_t row = lane / FLASH_WINDOW_ROWS * FLASH_WINDOW_ROWS + lane_rows[lane];
            const int64_t count = ellpack_row(matrix, row, row_deltas, row_values);
            for (int64_t i = 0; i < count; i++) {
                const uint64_t place = (offsets[slice] + (uint64_t)i) * FLASH_SLICE_ROWS + (uint64_t)l;
                deltas[place] = row_deltas[i];
                values[place] = row_values[i];
            }
            if (count > steps) steps = count;
        }
        offsets[slice + 1] = offsets[slice] + (uint64_t)steps;
    }
    const size_t stored = (size_t)offsets[slices] * FLASH_SLICE_ROWS;
    struct encoded encoded = {.memory_count = 0};
    encoded.ellpack = (struct flash_sliced_ellpack){
        .deltas = keep(&encoded, deltas, stored, 0), .values = keep(&encoded, values, stored * sizeof *values, 0),
        .slice_offsets = keep(&encoded, offsets, ((size_t)slices + 1) * sizeof *offsets, 0),
        .lane_rows = keep(&encoded, lane_rows, (size_t)(slices * FLASH_SLICE_ROWS), 0),
        .element = matrix->element, .rows = matrix->rows, .columns = matrix->columns};
    free(lane_rows);
    free(deltas);
    free(values);
    free(offsets);
    free(row_deltas);
    free(row_values);
    return encoded;
}
