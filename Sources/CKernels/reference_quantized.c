// Quantised matrices element by element: the ground truth of the tests.
#include "CKernels.h"

#include <string.h>

static int64_t chunk_columns(enum flash_coding coding) { return coding == FLASH_I16 ? 2 : 4; }

static int is_stored(const struct flash_quantized *matrix, int64_t chunk_index, int64_t element) {
    if (matrix->masks == NULL) return 1;
    if (matrix->coding == FLASH_I16) return ((const uint32_t *)matrix->masks)[chunk_index] >> element & 1;
    return (int)(((const uint64_t *)matrix->masks)[chunk_index] >> element & 1);
}

// Value number `index` of a panel; for I4 of the plane of the chunk's parity.
static int16_t value_at(const struct flash_quantized *matrix, int64_t panel, int64_t chunk, int64_t index) {
    const uint8_t *values = matrix->values + matrix->panel_offsets[panel];
    if (matrix->coding == FLASH_I16) {
        int16_t value;
        memcpy(&value, values + 2 * index, sizeof value);
        return value;
    }
    if (matrix->coding == FLASH_I8) return (int8_t)values[index];
    const int nibble = chunk % 2 == 0 ? values[index] & 15 : values[index] >> 4;
    return (int16_t)(nibble < 8 ? nibble : nibble - 16);
}

void flash_quantized_integers(const struct flash_quantized *matrix, int16_t *output) {
    const int64_t width = chunk_columns(matrix->coding), chunks = (matrix->columns + width - 1) / width;
    for (int64_t panel = 0; panel * FLASH_QUANTIZED_ROWS < matrix->rows; panel++) {
        int64_t next[2] = {0, 0};
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const int plane = matrix->coding == FLASH_I4 ? chunk % 2 : 0;
            for (int64_t element = 0; element < FLASH_QUANTIZED_ROWS * width; element++) {
                int16_t value = 0;
                if (is_stored(matrix, panel * chunks + chunk, element))
                    value = value_at(matrix, panel, chunk, next[plane]++);
                const int64_t row = panel * FLASH_QUANTIZED_ROWS + element / width;
                const int64_t column = chunk * width + element % width;
                if (row < matrix->rows && column < matrix->columns) output[row * matrix->columns + column] = value;
            }
        }
    }
}

static double scale_at(const struct flash_quantized *matrix, int64_t row, int64_t column) {
    const int64_t groups = (matrix->columns + matrix->group_columns - 1) / matrix->group_columns;
    const int64_t panel = row / FLASH_QUANTIZED_ROWS, lane = row % FLASH_QUANTIZED_ROWS;
    const int64_t index = (panel * groups + column / matrix->group_columns) * FLASH_QUANTIZED_ROWS + lane;
    return flash_widen_one(matrix->scales[index], FLASH_BF16);
}

// One pass over the stored values for every token: O(tokens * rows * columns), one row of integers at a time would need
// memory that this library does not take.
void flash_reference_quantized(
    const struct flash_quantized *matrix, const struct flash_quantized_input *input, float *output,
    int64_t output_stride, int64_t tokens) {
    const int64_t width = chunk_columns(matrix->coding), chunks = (matrix->columns + width - 1) / width;
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t panel = 0; panel * FLASH_QUANTIZED_ROWS < matrix->rows; panel++) {
            double sums[FLASH_QUANTIZED_ROWS] = {0};
            int64_t dots[FLASH_QUANTIZED_ROWS] = {0};
            int64_t next[2] = {0, 0};
            for (int64_t chunk = 0; chunk < chunks; chunk++) {
                const int plane = matrix->coding == FLASH_I4 ? chunk % 2 : 0;
                for (int64_t element = 0; element < FLASH_QUANTIZED_ROWS * width; element++) {
                    if (!is_stored(matrix, panel * chunks + chunk, element)) continue;
                    const int64_t weight = value_at(matrix, panel, chunk, next[plane]++);
                    const int64_t column = t * input->stride + chunk * width + element % width;
                    dots[element / width] += weight * (matrix->coding == FLASH_I16
                                                           ? ((const int16_t *)input->values)[column]
                                                           : ((const int8_t *)input->values)[column]);
                }
                const int64_t column = chunk * width;
                if ((column + width) % input->group_columns != 0 && chunk + 1 < chunks) continue;
                const int64_t group = column / input->group_columns;
                for (int64_t lane = 0; lane < FLASH_QUANTIZED_ROWS; lane++) {
                    const int64_t row = panel * FLASH_QUANTIZED_ROWS + lane;
                    sums[lane] += (double)dots[lane] * input->scales[t * input->groups + group] *
                                  scale_at(matrix, row, column);
                    dots[lane] = 0;
                }
            }
            for (int64_t lane = 0; lane < FLASH_QUANTIZED_ROWS; lane++) {
                const int64_t row = panel * FLASH_QUANTIZED_ROWS + lane;
                if (row < matrix->rows) output[t * output_stride + row] = (float)sums[lane];
            }
        }
    }
}
