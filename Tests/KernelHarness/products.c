// Products with 16- and 32-bit weights in every format.
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum format { DENSE, BITMAP, SKIPPING, CSL, ELLPACK, FORMATS };
static const char *const format_names[] = {"dense", "bitmap", "zero skipping", "CSL", "ELLPACK"};

// Activations, what they give in double precision, and how far float32 may be from that.
struct sample {
    int64_t tokens;
    struct guarded input;  // `[tokens, columns]`
    double *expected, *tolerance;  // `[tokens, rows]`
};

// Rounding of n products added up one after the other is within n units of the sum of the magnitudes; in practice it is
// some square root of that, which is what we ask for. Products below the normal range are off by their last bit.
static double tolerance_of(int64_t columns, double magnitudes) {
    const double units = fmin((double)columns + 2, 16 + 4 * sqrt((double)columns));
    return units * 0x1p-24 * magnitudes + (double)(columns + 1) * 0x1p-148;
}

static struct sample sample_make(const struct matrix *matrix, int64_t tokens, float scale) {
    const int64_t rows = matrix->rows, columns = matrix->columns;
    struct sample sample = {
        .tokens = tokens, .input = guarded_make((size_t)(tokens * columns) * sizeof(float), 0),
        .expected = malloc((size_t)(tokens * rows) * sizeof(double)),
        .tolerance = malloc((size_t)(tokens * rows) * sizeof(double))};
    float *input = (float *)sample.input.bytes;
    for (int64_t i = 0; i < tokens * columns; i++) input[i] = random_float(-1, 1) * scale;
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t r = 0; r < rows; r++) {
            double sum = 0, magnitudes = 0;
            for (int64_t k = 0; k < columns; k++) {
                const double product = matrix->values[r * columns + k] * input[t * columns + k];
                sum += product;
                magnitudes += fabs(product);
            }
            sample.expected[t * rows + r] = sum;
            sample.tolerance[t * rows + r] = tolerance_of(columns, magnitudes);
        }
    }
    return sample;
}

static void sample_free(struct sample *sample) {
    guarded_free(&sample->input);
    free(sample->expected);
    free(sample->tolerance);
}

// `[blocks, columns, skip_tokens]`; checked itself.
static struct guarded transposed(const struct sample *sample, int64_t columns) {
    const int64_t block = kernels->skip_tokens, blocks = (sample->tokens + block - 1) / block;
    struct guarded output = guarded_make((size_t)(blocks * columns * block) * sizeof(float), 0);
    const float *input = (const float *)sample->input.bytes;
    int isRight = 1;
    for (int64_t first = 0; first < sample->tokens; first += block) {
        const int64_t tokens = sample->tokens - first < block ? sample->tokens - first : block;
        float *target = (float *)output.bytes + first * columns;
        kernels->transpose(input + first * columns, columns, tokens, columns, target);
        for (int64_t k = 0; k < columns; k++)
            for (int64_t t = 0; t < block; t++)
                isRight &= target[k * block + t] == (t < tokens ? input[(first + t) * columns + k] : 0);
    }
    check(isRight && guarded_is_intact(&output), "transpose: %lld x %lld", (long long)sample->tokens,
          (long long)columns);
    return output;
}

static void run(
    enum format format, const struct encoded *encoded, int64_t first_row, int64_t end_row,
    const struct flash_operands *operands) {
    switch (format) {
        case DENSE: kernels->product_dense(&encoded->dense, first_row, end_row, operands); break;
        case BITMAP:
        case SKIPPING: kernels->product_tiled_bitmap(&encoded->bitmap, first_row, end_row, operands); break;
        case CSL: kernels->product_tiled_csl(&encoded->csl, first_row, end_row, operands); break;
        default: kernels->product_sliced_ellpack(&encoded->ellpack, first_row, end_row, operands);
    }
}

// The whole product in one or two calls; what a call does not cover must stay as it is.
static void check_product(
    enum format format, const struct matrix *matrix, const struct encoded *encoded, const struct sample *sample) {
    const int64_t rows = matrix->rows, tokens = sample->tokens;
    const int64_t unit = format == CSL || format == ELLPACK ? 128 : 32;
    const int64_t cut = random_below(3) == 0 ? random_below(rows / unit + 1) * unit : 0;
    struct guarded output = guarded_make((size_t)(tokens * rows) * sizeof(float), 0);
    struct guarded columns = {.bytes = NULL};
    struct flash_operands operands = {
        .input = (const float *)sample->input.bytes, .input_stride = matrix->columns, .output = (float *)output.bytes,
        .output_stride = rows, .tokens = tokens, .scratch = fresh_scratch()};
    if (format == SKIPPING) {
        columns = transposed(sample, matrix->columns);
        operands.transposed = (const float *)columns.bytes;
    }
    int isRight = 1;
    double worst = 0;
    if (cut > 0) {
        run(format, encoded, 0, cut, &operands);
        for (int64_t t = 0; t < tokens; t++)
            for (int64_t r = cut; r < rows; r++) isRight &= isnan(operands.output[t * rows + r]);
    }
    if (cut < rows) run(format, encoded, cut, rows, &operands);
    for (int64_t i = 0; i < tokens * rows; i++) {
        const double error = fabs(operands.output[i] - sample->expected[i]) / sample->tolerance[i];
        if (!(error <= worst)) worst = error;
        isRight &= error <= 1;
    }
    check(isRight && guarded_is_intact(&output),
          "%s: %lld x %lld, element type %d, %lld tokens, rows from %lld: %g times the tolerance",
          format_names[format], (long long)rows, (long long)matrix->columns, matrix->element, (long long)tokens,
          (long long)cut, worst);
    guarded_free(&output);
    if (columns.bytes != NULL) guarded_free(&columns);
}

static void test_matrix(
    int64_t rows, int64_t columns, double density, enum magnitude magnitude, enum flash_element element,
    const int64_t *token_counts, int count, unsigned formats) {
    struct matrix matrix = matrix_make(rows, columns, element, density, magnitude);
    struct encoded encoded[FORMATS];
    encoded[DENSE] = encode_dense(&matrix);
    if (element == FLASH_F32) formats &= 1u << DENSE;
    if (element != FLASH_F32) {
        encoded[BITMAP] = encoded[SKIPPING] = encode_bitmap(&matrix);
        encoded[CSL] = encode_csl(&matrix);
        encoded[ELLPACK] = encode_ellpack(&matrix);
    }
    for (int i = 0; i < count; i++) {
        // Huge activations meet ordinary and tiny weights only, so that nothing overflows.
        static const float scales[] = {1, 1, 1e-36f, 1e30f};
        const float scale = scales[magnitude == HUGE_WEIGHTS ? random_below(3) : random_below(4)];
        struct sample sample = sample_make(&matrix, token_counts[i], scale);
        for (int format = 0; format < FORMATS; format++)
            if (formats >> format & 1) check_product(format, &matrix, &encoded[format], &sample);
        sample_free(&sample);
    }
    if (element != FLASH_F32) {
        encoded_free(&encoded[BITMAP]);
        encoded_free(&encoded[CSL]);
        encoded_free(&encoded[ELLPACK]);
    }
    matrix_free(&matrix);
}

static const enum flash_element elements[] = {FLASH_F16, FLASH_BF16, FLASH_F32};
#define ALL_FORMATS ((1u << FORMATS) - 1)

// `count` numbers with the magnitudes of a bf16's last place and of nothing at all among them, and rounded.
static float *rounded(float *numbers, int64_t count) {
    float *result = malloc((size_t)count * sizeof *result);
    for (int64_t i = 0; i < count; i++) {
        numbers[i] = random_below(9) == 0 ? 0 : random_float(-1, 1) * (random_below(9) == 0 ? 0x1p-20f : 1);
        uint16_t bits;
        convert_f32_bf16(&numbers[i], 1, &bits);
        result[i] = flash_widen_one(bits, FLASH_BF16);
    }
    return result;
}

static void test_bf16_product(int64_t rows, int64_t columns, int64_t tokens) {
    struct guarded weights = guarded_make((size_t)(rows * columns) * sizeof(float), 0);
    struct guarded input = guarded_make((size_t)(tokens * columns) * sizeof(float), 0);
    struct guarded output = guarded_make((size_t)(tokens * rows) * sizeof(float), 0);
    float *w = rounded((float *)weights.bytes, rows * columns), *x = rounded((float *)input.bytes, tokens * columns);
    const struct flash_dense matrix = {
        .elements = weights.bytes, .element = FLASH_F32, .rows = rows, .columns = columns};
    const struct flash_operands operands = {
        .input = (const float *)input.bytes, .input_stride = columns, .output = (float *)output.bytes,
        .output_stride = rows, .tokens = tokens, .scratch = fresh_scratch()};
    const int64_t cut = random_below(rows / 32 + 1) * 32;
    if (cut > 0) kernels->product_bf16(&matrix, 0, cut, &operands);
    if (cut < rows) kernels->product_bf16(&matrix, cut, rows, &operands);
    int isRight = 1;
    for (int64_t t = 0; t < tokens; t++) {
        for (int64_t r = 0; r < rows; r++) {
            double sum = 0, magnitudes = 0;
            for (int64_t k = 0; k < columns; k++) {
                const double product = (double)w[r * columns + k] * x[t * columns + k];
                sum += product;
                magnitudes += fabs(product);
            }
            isRight &= fabs(operands.output[t * rows + r] - sum) <= tolerance_of(columns, magnitudes);
        }
    }
    check(isRight && guarded_is_intact(&output), "bf16: %lld x %lld, %lld tokens, cut at %lld", (long long)rows,
          (long long)columns, (long long)tokens, (long long)cut);
    guarded_free(&weights);
    guarded_free(&input);
    guarded_free(&output);
    free(w);
    free(x);
}

static void test_bf16_products(void) {
    if (kernels->product_bf16 == NULL) return;
    static const int64_t edges[] = {1, 2, 15, 16, 17, 31, 32, 33, 47, 64, 65, 100, 129};
    const int edge_count = sizeof edges / sizeof *edges;
    for (int64_t tokens = 1; tokens <= 30; tokens++)
        test_bf16_product(edges[random_below(edge_count)], edges[random_below(edge_count)], tokens);
    for (int r = 0; r < edge_count; r++)
        for (int c = 0; c < edge_count; c++) test_bf16_product(edges[r], edges[c], 1 + random_below(40));
    test_bf16_product(70, 255, 200);
    test_bf16_product(33, 257, 400);
    test_bf16_product(5, 900, 193);
}

// Every number of tokens from 1 to 70 with some shape, every edge shape with some numbers of tokens.
void test_products(void) {
    static const double densities[] = {0, 0.01, 0.1, 0.3, 0.5, 0.8, 1};
    static const int64_t edges[] = {1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 100, 127, 128, 129, 160, 257};
    const int edge_count = sizeof edges / sizeof *edges;
    for (int64_t tokens = 1; tokens <= 70; tokens++)
        for (int e = 0; e < 3; e++)
            test_matrix(
                edges[random_below(edge_count)], edges[random_below(edge_count)], densities[random_below(7)], ORDINARY,
                elements[e], &tokens, 1, ALL_FORMATS);
    for (int r = 0; r < edge_count; r++) {
        for (int c = 0; c < edge_count; c++) {
            const int64_t tokens[] = {1 + random_below(4), 1 + random_below(13), 1 + random_below(33)};
            test_matrix(
                edges[r], edges[c], densities[random_below(7)], (enum magnitude)random_below(MAGNITUDES),
                elements[random_below(3)], tokens, 3, ALL_FORMATS);
        }
    }
    // Columns beyond what is expanded, widened or scattered at a time; lists of zero skipping that fill up or have to
    // be cut; inputs too long for sliced ELLPACK to turn 16, 8 or 4 tokens; tokens beyond what stays in cache.
    static const int64_t few[] = {1, 5, 17}, many[] = {70, 200};
    static const int64_t wide[] = {1, 4, 16};
    test_matrix(33, 300, 0.5, ORDINARY, FLASH_F16, many, 2, ALL_FORMATS);
    test_matrix(140, 1100, 0.2, ORDINARY, FLASH_BF16, few, 3, ALL_FORMATS);
    test_matrix(70, 2100, 1, ORDINARY, FLASH_F16, few, 3, ALL_FORMATS);
    test_matrix(530, 250, 0.7, ORDINARY, FLASH_F16, few, 3, ALL_FORMATS);
    test_matrix(40, 8300, 0.02, ORDINARY, FLASH_F16, few, 3, ALL_FORMATS);
    test_matrix(17, 20000, 0.01, ORDINARY, FLASH_BF16, wide, 3, 1u << ELLPACK | 1u << DENSE);
    test_matrix(3, 70000, 0.01, ORDINARY, FLASH_F16, wide, 3, 1u << ELLPACK | 1u << BITMAP);
    test_bf16_products();
}
