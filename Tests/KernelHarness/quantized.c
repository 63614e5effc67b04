// Products with quantised weights: integer sums are exact, so that every output is known bit by bit.
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct shape {
    int64_t rows, columns, group_columns;  // the group of the weights
    enum flash_coding coding;
    int isDense;
    double density;
};

struct quantized {
    struct shape shape;
    int16_t *integers;  // `[panels * 16, chunks * width]`
    struct flash_quantized matrix;
    struct guarded masks, values, offsets, scales;
};

static const int64_t limits[] = {32767, 127, 7};

static int64_t chunk_width(enum flash_coding coding) { return coding == FLASH_I16 ? 2 : 4; }
static int64_t up(int64_t a, int64_t b) { return (a + b - 1) / b; }

static float float_of_bf16(uint16_t bits) { return flash_widen_one(bits, FLASH_BF16); }

static uint16_t random_scale(void) {
    static const uint16_t odd[] = {0, 0x0080, 0x8080, 0x7F00, 0x2000, 0xE000};
    if (random_below(40) == 0) return odd[random_below(6)];
    return (uint16_t)(0x3C00 + random_below(0x200)) | (random_bits() & 1 ? 0x8000 : 0);
}

static void fill_integers(struct quantized *quantized, int64_t padded_columns) {
    const struct shape *shape = &quantized->shape;
    const int64_t limit = limits[shape->coding], kind = random_below(4);
    for (int64_t r = 0; r < up(shape->rows, 16) * 16; r++) {
        for (int64_t k = 0; k < padded_columns; k++) {
            int64_t q = random_below(2 * limit + 1) - limit;
            // The ends of the range, one of I4's beyond the other: where sums of products are largest.
            if (kind == 0) q = random_bits() & 1 ? limit : shape->coding == FLASH_I4 ? -8 : -limit;
            const int isStored = random_float(0, 1) < shape->density;
            if (r >= shape->rows || k >= shape->columns || !isStored) q = 0;
            quantized->integers[r * padded_columns + k] = (int16_t)q;
        }
    }
}

// One panel's bytes from `bytes` on, and its masks; returns how many bytes.
static int64_t encode_panel(
    const struct quantized *quantized, int64_t panel, int64_t chunks, uint8_t *masks, uint8_t *bytes) {
    const enum flash_coding coding = quantized->shape.coding;
    const int64_t width = chunk_width(coding), columns = chunks * width;
    int64_t next[2] = {0, 0};
    for (int64_t chunk = 0; chunk < chunks; chunk++) {
        const int plane = coding == FLASH_I4 ? chunk & 1 : 0;
        uint64_t mask = 0;
        for (int64_t n = 0; n < 16 * width; n++) {
            const int16_t q = quantized->integers[(panel * 16 + n / width) * columns + chunk * width + n % width];
            if (q == 0 && !quantized->shape.isDense) continue;
            mask |= 1ull << n;
            const int64_t place = next[plane]++;
            if (coding == FLASH_I16) {
                memcpy(bytes + 2 * place, &q, 2);
            } else if (coding == FLASH_I8) {
                bytes[place] = (uint8_t)q;
            } else {
                const unsigned nibble = (unsigned)q & 15, byte = bytes[place];
                bytes[place] = (uint8_t)(plane == 0 ? (byte & 0xF0) | nibble : (byte & 15) | nibble << 4);
            }
        }
        const int64_t mask_bytes = coding == FLASH_I16 ? 4 : 8;
        if (masks != NULL) memcpy(masks + (panel * chunks + chunk) * mask_bytes, &mask, (size_t)mask_bytes);
    }
    const int64_t count = next[0] > next[1] ? next[0] : next[1];
    return coding == FLASH_I16 ? 2 * count : count;
}

static struct quantized quantized_make(struct shape shape) {
    const int64_t width = chunk_width(shape.coding), chunks = up(shape.columns, width), panels = up(shape.rows, 16);
    const int64_t groups = up(shape.columns, shape.group_columns), mask_bytes = shape.coding == FLASH_I16 ? 4 : 8;
    struct quantized quantized = {.shape = shape};
    quantized.integers = malloc((size_t)(panels * 16 * chunks * width) * sizeof(int16_t));
    fill_integers(&quantized, chunks * width);
    quantized.masks = guarded_make((size_t)(panels * chunks * mask_bytes), 0);
    quantized.offsets = guarded_make((size_t)(panels + 1) * sizeof(uint64_t), 0);
    quantized.scales = guarded_make((size_t)(panels * groups * 16) * sizeof(uint16_t), 0);
    uint8_t *bytes = calloc((size_t)(panels * chunks * 64), 1);
    uint64_t *offsets = (uint64_t *)quantized.offsets.bytes;
    offsets[0] = 0;
    for (int64_t panel = 0; panel < panels; panel++)
        offsets[panel + 1] =
            offsets[panel] +
            (uint64_t)encode_panel(&quantized, panel, chunks, quantized.masks.bytes, bytes + offsets[panel]);
    quantized.values = guarded_make(offsets[panels], FLASH_QUANTIZED_PADDING);
    memcpy(quantized.values.bytes, bytes, offsets[panels]);
    free(bytes);
    for (int64_t i = 0; i < panels * groups * 16; i++) ((uint16_t *)quantized.scales.bytes)[i] = random_scale();
    quantized.matrix = (struct flash_quantized){
        .masks = shape.isDense ? NULL : quantized.masks.bytes, .values = quantized.values.bytes,
        .panel_offsets = offsets, .scales = (const uint16_t *)quantized.scales.bytes, .coding = shape.coding,
        .rows = shape.rows, .columns = shape.columns, .group_columns = shape.group_columns};
    return quantized;
}

static void quantized_free(struct quantized *quantized) {
    free(quantized->integers);
    guarded_free(&quantized->masks);
    guarded_free(&quantized->values);
    guarded_free(&quantized->offsets);
    guarded_free(&quantized->scales);
}

struct activations {
    struct flash_quantized_input input;
    struct guarded values, scales, sums;
    int64_t tokens;
};

static int64_t activation_at(const struct activations *activations, enum flash_coding coding, int64_t index) {
    return coding == FLASH_I16 ? ((const int16_t *)activations->values.bytes)[index]
                               : ((const int8_t *)activations->values.bytes)[index];
}

static struct activations activations_make(const struct shape *shape, int64_t tokens, int64_t group_columns) {
    const int64_t groups = up(shape->columns, group_columns), stride = groups * group_columns;
    const int64_t limit = shape->coding == FLASH_I16 ? 2047 : 127, kind = random_below(3);
    const size_t size = shape->coding == FLASH_I16 ? 2 : 1;
    struct activations activations = {
        .values = guarded_make((size_t)(tokens * stride) * size, 0),
        .scales = guarded_make((size_t)(tokens * groups) * sizeof(float), 0),
        .sums = guarded_make((size_t)(tokens * groups) * sizeof(int32_t), 0), .tokens = tokens};
    int32_t *sums = (int32_t *)activations.sums.bytes;
    memset(sums, 0, (size_t)(tokens * groups) * sizeof *sums);
    for (int64_t i = 0; i < tokens * stride; i++) {
        int64_t q = kind == 0 ? (random_bits() & 1 ? limit : -limit) : random_below(2 * limit + 1) - limit;
        if (i % stride >= shape->columns) q = 0;
        if (size == 2) {
            ((int16_t *)activations.values.bytes)[i] = (int16_t)q;
        } else {
            ((int8_t *)activations.values.bytes)[i] = (int8_t)q;
        }
        sums[i / stride * groups + i % stride / group_columns] += (int32_t)q;
    }
    for (int64_t i = 0; i < tokens * groups; i++) {
        const int64_t odd = random_below(200);
        ((float *)activations.scales.bytes)[i] =
            odd == 0 ? 0 : odd == 1 ? 1e-38f : odd == 2 ? 1e30f : odd == 3 ? NAN : random_float(0.001f, 1);
    }
    activations.input = (struct flash_quantized_input){
        .values = activations.values.bytes, .stride = stride, .scales = (const float *)activations.scales.bytes,
        .sums = sums, .group_columns = group_columns, .groups = groups};
    return activations;
}

// One output, in the order of the groups and with the roundings that CKernels.h promises.
static float expected_output(
    const struct quantized *quantized, const struct activations *activations, int64_t row, int64_t token) {
    const struct shape *shape = &quantized->shape;
    const struct flash_quantized_input *input = &activations->input;
    const int64_t width = chunk_width(shape->coding), padded = up(shape->columns, width) * width;
    const int64_t weight_groups = up(shape->columns, shape->group_columns);
    const int64_t unit = shape->coding == FLASH_I4 ? 16 : 1;
    float total = 0;
    for (int64_t group = 0; group < input->groups; group++) {
        const int64_t first = group * input->group_columns;
        int64_t sum = 0;
        for (int64_t k = first; k < first + input->group_columns && k < shape->columns; k++)
            sum += quantized->integers[row * padded + k] *
                   activation_at(activations, shape->coding, token * input->stride + k);
        const int64_t place = (row / 16 * weight_groups + first / shape->group_columns) * 16 + row % 16;
        const float scale = float_of_bf16(((const uint16_t *)quantized->scales.bytes)[place]);
        const float factor = input->scales[token * input->groups + group] / (float)unit;
        const float scaled = (float)(sum * unit) * factor;
        total = isFused ? fmaf(scaled, scale, total) : scaled * scale + total;
    }
    return total;
}

static void check_quantized(const struct quantized *quantized, const struct activations *activations) {
    const struct shape *shape = &quantized->shape;
    const int64_t rows = shape->rows, tokens = activations->tokens;
    const int64_t cut = random_below(3) == 0 ? random_below(rows / 16 + 1) * 16 : 0;
    struct guarded output = guarded_make((size_t)(tokens * rows) * sizeof(float), 0);
    float *found = (float *)output.bytes;
    const struct flash_quantized_input *input = &activations->input;
    if (cut > 0) kernels->product_quantized(&quantized->matrix, 0, cut, input, found, rows, tokens, fresh_scratch());
    int isRight = 1;
    for (int64_t t = 0; t < tokens; t++)
        for (int64_t r = cut; r < rows; r++) isRight &= isnan(found[t * rows + r]);
    if (cut < rows)
        kernels->product_quantized(&quantized->matrix, cut, rows, input, found, rows, tokens, fresh_scratch());
    float wrong = 0, right = 0;
    for (int64_t i = 0; i < tokens * rows; i++) {
        const float expected = expected_output(quantized, activations, i % rows, i / rows);
        const int isSame = found[i] == expected || (isnan(found[i]) && isnan(expected));
        if (!isSame) wrong = found[i], right = expected;
        isRight &= isSame;
    }
    check(isRight && guarded_is_intact(&output),
          "quantized: coding %d, %lld x %lld, groups %lld and %lld, %s, density %g, %lld tokens: %g instead of %g",
          shape->coding, (long long)rows, (long long)shape->columns, (long long)shape->group_columns,
          (long long)input->group_columns, shape->isDense ? "dense" : "bitmap", shape->density, (long long)tokens,
          wrong, right);
    guarded_free(&output);
}

// The groups that CKernels.h allows for a weight group: a whole row takes any up to the limit.
static int64_t random_input_group(const struct shape *shape) {
    if (shape->coding == FLASH_I16) return 32;
    if (shape->group_columns >= shape->columns) return 32 * (1 + random_below(16));
    int64_t group = 0;
    do {
        group = 32 * (1 + random_below(16));
    } while (shape->group_columns % group != 0);
    return group;
}

static void test_shape(int64_t rows, int64_t columns, int64_t tokens) {
    static const double densities[] = {0, 0.02, 0.2, 0.5, 0.9, 1};
    static const int64_t groups[] = {32, 64, 128, 160, 0};
    for (int coding = FLASH_I16; coding <= FLASH_I4; coding++) {
        for (int isDense = 0; isDense < 2; isDense++) {
            int64_t group = groups[random_below(5)];
            if (group == 0) group = up(columns, 32) * 32;
            const struct shape shape = {
                rows, columns, group, (enum flash_coding)coding, isDense, densities[random_below(6)]};
            struct quantized quantized = quantized_make(shape);
            struct activations activations = activations_make(&shape, tokens, random_input_group(&shape));
            check_quantized(&quantized, &activations);
            quantized_free(&quantized);
            guarded_free(&activations.values);
            guarded_free(&activations.scales);
            guarded_free(&activations.sums);
        }
    }
}

void test_quantized_products(void) {
    static const int64_t edges[] = {1, 2, 3, 5, 8, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 96, 127, 128, 129, 200};
    const int count = sizeof edges / sizeof *edges;
    for (int64_t tokens = 1; tokens <= 70; tokens++)
        test_shape(edges[random_below(count)], edges[random_below(count)], tokens);
    for (int r = 0; r < count; r++)
        for (int c = 0; c < count; c++) test_shape(edges[r], edges[c], 1 + random_below(random_below(3) == 0 ? 30 : 5));
    // Beyond the columns that are expanded at a time.
    for (int64_t tokens = 1; tokens <= 31; tokens += 6) {
        test_shape(40, 513, tokens);
        test_shape(17, 1400, tokens);
    }
}
