#include "CKernels.h"

#include <math.h>
#include <string.h>

float flash_widen_one(uint16_t bits, enum flash_element element) {
    uint32_t word;
    if (element == FLASH_BF16) {
        word = (uint32_t)bits << 16;
    } else {
        const uint32_t sign = (uint32_t)(bits & 0x8000) << 16, rest = bits & 0x7FFF;
        if (rest >= 0x7C00) {  // infinity, NaN
            word = sign | 0x7F800000 | (rest & 0x3FF) << 13;
        } else if (rest >= 0x400) {
            word = sign | (rest + ((127 - 15) << 10)) << 13;
        } else {  // zero and subnormals: rest * 2^-24, exactly
            const float value = (float)rest * 0x1p-24f;
            memcpy(&word, &value, sizeof word);
            word |= sign;
        }
    }
    float value;
    memcpy(&value, &word, sizeof value);
    return value;
}

uint16_t flash_narrow_f16(float value) {
    uint32_t word;
    memcpy(&word, &value, sizeof word);
    const uint16_t sign = (uint16_t)(word >> 16 & 0x8000);
    const uint32_t rest = word & 0x7FFFFFFF;
    if (rest > 0x7F800000) return sign | 0x7E00;   // NaN
    if (rest >= 0x477FF000) return sign | 0x7C00;  // rounds beyond 65504
    if (rest < 0x38800000) {
        // Subnormal or zero: the last bit of 0.5 stands for 2^-24, as does the last bit of a binary16 subnormal, so
        // the addition rounds to nearest even at the right place.
        float magnitude;
        memcpy(&magnitude, &rest, sizeof magnitude);
        const float aligned = magnitude + 0.5f;
        memcpy(&word, &aligned, sizeof word);
        return sign | (uint16_t)(word - 0x3F000000);
    }
    const uint32_t odd = rest >> 13 & 1;
    return sign | (uint16_t)((rest - 0x38000000 + 0xFFF + odd) >> 13);
}

static double element_at(const void *elements, int64_t index, enum flash_element element) {
    if (element == FLASH_F32) return ((const float *)elements)[index];
    return flash_widen_one(((const uint16_t *)elements)[index], element);
}

void flash_reference_dense(const struct flash_dense *matrix, const struct flash_operands *operands) {
    for (int64_t t = 0; t < operands->tokens; t++) {
        for (int64_t r = 0; r < matrix->rows; r++) {
            double sum = 0;
            for (int64_t k = 0; k < matrix->columns; k++)
                sum += element_at(matrix->elements, r * matrix->columns + k, matrix->element) *
                       operands->input[t * operands->input_stride + k];
            operands->output[t * operands->output_stride + r] = (float)sum;
        }
    }
}

void flash_reference_tiled_bitmap(const struct flash_tiled_bitmap *matrix, const struct flash_operands *operands) {
    for (int64_t t = 0; t < operands->tokens; t++) {
        for (int64_t r = 0; r < matrix->rows; r++) {
            const int64_t panel = r / FLASH_PANEL_ROWS, row = r % FLASH_PANEL_ROWS;
            const uint16_t *values = matrix->values + matrix->panel_offsets[panel];
            double sum = 0;
            for (int64_t k = 0; k < matrix->columns; k++) {
                const uint32_t mask = matrix->masks[panel * matrix->columns + k];
                if (mask >> row & 1) {
                    const int before = __builtin_popcount(mask & ((1u << row) - 1));
                    sum += (double)flash_widen_one(values[before], matrix->element) *
                           operands->input[t * operands->input_stride + k];
                }
                values += __builtin_popcount(mask);
            }
            operands->output[t * operands->output_stride + r] = (float)sum;
        }
    }
}

void flash_reference_tiled_csl(const struct flash_tiled_csl *matrix, const struct flash_operands *operands) {
    const int64_t tile_columns = (matrix->columns + FLASH_CSL_TILE_COLUMNS - 1) / FLASH_CSL_TILE_COLUMNS;
    for (int64_t t = 0; t < operands->tokens; t++) {
        for (int64_t r = 0; r < matrix->rows; r++) {
            double sum = 0;
            for (int64_t tile = 0; tile < tile_columns; tile++) {
                const int64_t index = r / FLASH_CSL_TILE_ROWS * tile_columns + tile;
                for (int64_t w = (int64_t)matrix->tile_offsets[index] * 4;
                     w < (int64_t)matrix->tile_offsets[index + 1] * 4; w++) {
                    const uint32_t position = matrix->words[w] >> 16;
                    const int64_t row = position / 64, column = (position % 64) ^ (row % 8) << 3;
                    if (row != r % FLASH_CSL_TILE_ROWS) continue;
                    const int64_t k = tile * FLASH_CSL_TILE_COLUMNS + column;
                    if (k >= matrix->columns) continue;  // a padding word
                    sum += (double)flash_widen_one((uint16_t)matrix->words[w], matrix->element) *
                           operands->input[t * operands->input_stride + k];
                }
            }
            operands->output[t * operands->output_stride + r] = (float)sum;
        }
    }
}

void flash_reference_sliced_ellpack(
    const struct flash_sliced_ellpack *matrix, const struct flash_operands *operands) {
    const int64_t lanes = (matrix->rows + FLASH_SLICE_ROWS - 1) / FLASH_SLICE_ROWS * FLASH_SLICE_ROWS;
    for (int64_t t = 0; t < operands->tokens; t++) {
        const float *input = operands->input + t * operands->input_stride;
        for (int64_t lane = 0; lane < lanes; lane++) {
            const int64_t slice = lane / FLASH_SLICE_ROWS;
            const int64_t row = lane / FLASH_WINDOW_ROWS * FLASH_WINDOW_ROWS + matrix->lane_rows[lane];
            if (row >= matrix->rows) continue;
            int64_t column = 0;
            double sum = 0;
            for (uint64_t step = matrix->slice_offsets[slice]; step < matrix->slice_offsets[slice + 1]; step++) {
                const uint64_t index = step * FLASH_SLICE_ROWS + lane % FLASH_SLICE_ROWS;
                column += matrix->deltas[index];
                sum += (double)flash_widen_one(matrix->values[index], matrix->element) * input[column];
            }
            operands->output[t * operands->output_stride + row] = (float)sum;
        }
    }
}

// Bytes of a head's keys, or values, in a block.
static int64_t cached_bytes(const struct flash_cache_layer *cache) {
    const int64_t width = cache->head_width;
    switch (cache->type) {
        case FLASH_CACHE_F32: return FLASH_BLOCK_TOKENS * width * 4;
        case FLASH_CACHE_F16: return FLASH_BLOCK_TOKENS * width * 2;
        default: return FLASH_BLOCK_TOKENS * ((width + 1) / 2 * 2 + (int64_t)sizeof(float));
    }
}

// Element d of the token in `slot`, of a head's keys or values.
static double cached_at(const struct flash_cache_layer *cache, const char *head, int is_key, int64_t slot, int64_t d) {
    const int64_t width = cache->head_width, even = (width + 1) / 2 * 2;
    const int64_t place = is_key ? d * FLASH_BLOCK_TOKENS + slot : slot * width + d;
    if (cache->type != FLASH_CACHE_I8)
        return element_at(head, place, cache->type == FLASH_CACHE_F16 ? FLASH_F16 : FLASH_F32);
    const int64_t pair = is_key ? d / 2 * FLASH_BLOCK_TOKENS + slot : slot / 2 * even + d;
    const float *scales = (const float *)(head + FLASH_BLOCK_TOKENS * even);
    return (double)((const int8_t *)head)[2 * pair + (is_key ? d : slot) % 2] * scales[slot];
}

void flash_reference_attend(
    const struct flash_cache_layer *cache, const int32_t *block_table, int64_t kv_head, float scale, float cap,
    const float *query, int64_t start, int64_t length, float *output) {
    const int64_t width = cache->head_width, head_bytes = cached_bytes(cache);
    double largest = -INFINITY, sum = 0;
    // Three passes over the tokens: the largest score, the sum of the weights, the weighted values.
    for (int pass = 0; pass < 2 + width; pass++) {
        double result = 0;
        for (int64_t token = start; token < length; token++) {
            const int64_t slot = token % FLASH_BLOCK_TOKENS;
            const int64_t block = block_table[token / FLASH_BLOCK_TOKENS];
            const char *keys = (const char *)cache->layer + block / FLASH_SUPERBLOCK * cache->superblock_stride +
                               (kv_head * 2 * FLASH_SUPERBLOCK + block % FLASH_SUPERBLOCK) * head_bytes;
            const char *values = keys + FLASH_SUPERBLOCK * head_bytes;
            double score = 0;
            for (int64_t d = 0; d < width; d++) score += cached_at(cache, keys, 1, slot, d) * query[d];
            score *= scale;
            if (cap > 0) score = cap * tanh(score / cap);
            if (pass == 0) {
                if (!(score <= largest)) largest = score;
            } else if (pass == 1) {
                sum += exp(score - largest);
            } else {
                result += exp(score - largest) / sum * cached_at(cache, values, 0, slot, pass - 2);
            }
        }
        if (pass >= 2) output[pass - 2] = (float)result;
    }
}

uint64_t flash_read_bandwidth(const void *bytes, int64_t byte_count) {
    // Four independent streams of whole cache lines, which processors fetch ahead by themselves: on Zen 4 30 GB/s, half
    // of that with prefetching. The compiler vectorises the sums.
    typedef uint64_t line __attribute__((vector_size(64), aligned(8)));
    const int64_t quarter = byte_count / 4 / 256 * 256;
    line sums[4] = {0};
    for (int64_t i = 0; i < quarter; i += 64) {
        for (int s = 0; s < 4; s++) sums[s] += *(const line *)((const char *)bytes + s * quarter + i);
    }
    uint64_t total = 0;
    for (int s = 0; s < 4; s++)
        for (int lane = 0; lane < 8; lane++) total += sums[s][lane];
    return total;
}
