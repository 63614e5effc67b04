// Quantisation of activations, and of weights when a model is packed.
#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum disturbance { NOTHING, TINY, SUBNORMALS, LARGE, ZEROS, BROKEN, INFINITE, DISTURBANCES };

static void fill(float *input, int64_t count, enum disturbance disturbance) {
    for (int64_t i = 0; i < count; i++) {
        input[i] = random_float(-1, 1);
        if (disturbance == TINY) input[i] *= 1.1e-35f;
        if (disturbance == SUBNORMALS) input[i] *= 1e-39f;
        if (disturbance == LARGE) input[i] *= 3e38f;
        if (disturbance == ZEROS) input[i] = random_bits() & 1 ? 0.0f : -0.0f;
    }
    if (disturbance == BROKEN) input[random_below(count)] = NAN;
    if (disturbance == INFINITE) input[random_below(count)] = random_bits() & 1 ? INFINITY : -INFINITY;
}

struct group {
    float scale;
    int64_t sum;
    int16_t values[FLASH_GROUP_LIMIT];
};

static void expected_group(const float *input, int64_t count, enum flash_coding coding, struct group *group) {
    const float limit = coding == FLASH_I16 ? 2047 : 127;
    float magnitude = 0;
    int isFinite = 1;
    for (int64_t i = 0; i < count; i++) {
        isFinite &= isfinite(input[i]) != 0;
        if (fabsf(input[i]) > magnitude) magnitude = fabsf(input[i]);
    }
    const int isZero = !isFinite || magnitude < 1e-35f;
    memset(group, 0, sizeof *group);
    group->scale = !isFinite ? NAN : isZero ? 0 : magnitude / limit;
    const float factor = limit / magnitude;
    for (int64_t i = 0; i < count && !isZero; i++) {
        group->values[i] = (int16_t)rintf(input[i] * factor);
        group->sum += group->values[i];
    }
}

static void check_quantize(int64_t width, enum flash_coding coding, int64_t group_columns, enum disturbance what) {
    const int64_t groups = (width + group_columns - 1) / group_columns;
    const size_t size = coding == FLASH_I16 ? 2 : 1;
    struct guarded input = guarded_make((size_t)width * sizeof(float), 0);
    struct guarded values = guarded_make((size_t)(groups * group_columns) * size, 0);
    struct guarded scales = guarded_make((size_t)groups * sizeof(float), 0);
    struct guarded sums = guarded_make((size_t)groups * sizeof(int32_t), 0);
    fill((float *)input.bytes, width, what);
    kernels->quantize(
        (const float *)input.bytes, width, coding, group_columns, values.bytes, (float *)scales.bytes,
        (int32_t *)sums.bytes);
    int isRight = guarded_is_intact(&values) && guarded_is_intact(&scales) && guarded_is_intact(&sums);
    for (int64_t g = 0; g < groups; g++) {
        const int64_t first = g * group_columns, left = width - first;
        struct group expected;
        expected_group(
            (const float *)input.bytes + first, left < group_columns ? left : group_columns, coding, &expected);
        const float scale = ((const float *)scales.bytes)[g];
        isRight &= scale == expected.scale || (isnan(scale) && isnan(expected.scale));
        isRight &= ((const int32_t *)sums.bytes)[g] == expected.sum;
        for (int64_t i = 0; i < group_columns; i++)
            isRight &= expected.values[i] == (size == 2 ? ((const int16_t *)values.bytes)[first + i]
                                                        : ((const int8_t *)values.bytes)[first + i]);
    }
    check(isRight, "quantize: coding %d, width %lld, groups of %lld, kind %d", coding, (long long)width,
          (long long)group_columns, what);
    guarded_free(&input);
    guarded_free(&values);
    guarded_free(&scales);
    guarded_free(&sums);
}

void test_quantize(void) {
    static const int64_t groups[] = {32, 64, 96, 512};
    for (int64_t width = 1; width <= 140; width++) {
        for (int what = 0; what < DISTURBANCES; what++) {
            check_quantize(width, FLASH_I16, 32, (enum disturbance)what);
            check_quantize(width, FLASH_I8, groups[random_below(4)], (enum disturbance)what);
        }
    }
    for (int what = 0; what < DISTURBANCES; what++) check_quantize(1500, FLASH_I8, 512, (enum disturbance)what);
}

// ---- Weights --------------------------------------------------------------------------------------------------------

static float float_of_bf16(uint16_t bits) { return flash_widen_one(bits, FLASH_BF16); }

// Rounded as CKernels.h says, one by one; what each set must give, bit by bit.
static void check_rounding(
    const float *weights, int64_t count, int64_t group_columns, enum flash_coding coding, const uint16_t *scales) {
    static const float lows[] = {-32767, -127, -8}, highs[] = {32767, 127, 7};
    struct guarded integers = guarded_make((size_t)count * sizeof(int16_t), 0);
    int64_t counts[2] = {5, 7}, expected_counts[2] = {5, 7};
    kernels->round_weights(weights, count, group_columns, coding, scales, (int16_t *)integers.bytes, counts);
    int isRight = guarded_is_intact(&integers);
    for (int64_t i = 0; i < count; i++) {
        const float scale = float_of_bf16(scales[i / group_columns * FLASH_QUANTIZED_ROWS]);
        float q = 0;
        if (scale != 0) q = rintf(fminf(fmaxf(weights[i] / scale, lows[coding]), highs[coding]));
        isRight &= ((const int16_t *)integers.bytes)[i] == (int16_t)q;
        expected_counts[i / (coding == FLASH_I16 ? 2 : 4) % 2] += q != 0;
    }
    isRight &= counts[0] == expected_counts[0] && counts[1] == expected_counts[1];
    check(isRight, "round_weights: coding %d, %lld weights, groups of %lld", coding, (long long)count,
          (long long)group_columns);
    guarded_free(&integers);
}

static void check_weights(
    int64_t count, int64_t group_columns, enum flash_coding coding, double density, float magnitude) {
    const int64_t groups = (count + group_columns - 1) / group_columns;
    // A row's scales lie 16 apart; the others of a panel belong to its other rows.
    const size_t scale_bytes = (size_t)((groups - 1) * FLASH_QUANTIZED_ROWS + 1) * sizeof(uint16_t);
    struct guarded weights = guarded_make((size_t)count * sizeof(float), 0);
    struct guarded scales = guarded_make(scale_bytes, 0), expected = guarded_make(scale_bytes, 0);
    float *w = (float *)weights.bytes;
    // Numbers halfway between two of bf16: a single one in a group makes the scale a tie.
    const int areMidpoints = random_below(2) == 0;
    for (int64_t i = 0; i < count; i++) {
        w[i] = random_float(0, 1) < density ? random_float(-1, 1) * random_float(0, 1) * magnitude : 0;
        uint32_t bits;
        memcpy(&bits, &w[i], sizeof bits);
        bits = (bits & 0xFFFF0000) | 0x8000;
        if (areMidpoints && w[i] != 0) memcpy(&w[i], &bits, sizeof bits);
    }
    kernels->fit_scales(w, count, group_columns, coding, (uint16_t *)scales.bytes);
    flash_kernels_select("portable")->fit_scales(w, count, group_columns, coding, (uint16_t *)expected.bytes);
    int isRight = memcmp(scales.bytes, expected.bytes, scale_bytes) == 0 && guarded_is_intact(&scales);
    for (int64_t i = 0; i < count && coding == FLASH_I16; i++) {
        const uint16_t scale = ((const uint16_t *)scales.bytes)[i / group_columns * FLASH_QUANTIZED_ROWS];
        isRight &= fabs((double)w[i]) <= 32767.5 * fabs((double)float_of_bf16(scale));
    }
    check(isRight, "fit_scales: coding %d, %lld weights up to %g, groups of %lld", coding, (long long)count, magnitude,
          (long long)group_columns);
    check_rounding(w, count, group_columns, coding, (const uint16_t *)scales.bytes);
    guarded_free(&weights);
    guarded_free(&scales);
    guarded_free(&expected);
}

// Weights that were rounded before: integers times a scale of their group. Nothing more is lost.
static void check_rounded_weights(int64_t count, int64_t group_columns, enum flash_coding coding, double density) {
    static const int64_t most[] = {32767, 127, 7};
    const int64_t groups = (count + group_columns - 1) / group_columns;
    struct guarded weights = guarded_make((size_t)count * sizeof(float), 0);
    struct guarded integers = guarded_make((size_t)count * sizeof(int16_t), 0);
    struct guarded scales = guarded_make((size_t)((groups - 1) * FLASH_QUANTIZED_ROWS + 1) * sizeof(uint16_t), 0);
    float *w = (float *)weights.bytes;
    float scale = 0;
    // Integers that do not fill the range, and others.
    const int64_t limit = random_below(3) == 0 ? 1 + random_below(most[coding]) : most[coding];
    for (int64_t i = 0; i < count; i++) {
        uint16_t bits = (uint16_t)(0x3000 + random_below(0x1800) + (random_below(2) << 15));
        if (i % group_columns == 0) scale = float_of_bf16(bits);
        const int64_t least = coding == FLASH_I4 && limit == most[coding] ? -8 : -limit;
        const float q = (float)(least + random_below(limit - least + 1));
        w[i] = random_float(0, 1) < density ? q * scale : 0;
    }
    kernels->fit_scales(w, count, group_columns, coding, (uint16_t *)scales.bytes);
    int64_t counts[2] = {0, 0};
    kernels->round_weights(
        w, count, group_columns, coding, (const uint16_t *)scales.bytes, (int16_t *)integers.bytes, counts);
    int isRight = guarded_is_intact(&scales);
    for (int64_t i = 0; i < count; i++) {
        const uint16_t fitted = ((const uint16_t *)scales.bytes)[i / group_columns * FLASH_QUANTIZED_ROWS];
        isRight &= (float)((const int16_t *)integers.bytes)[i] * float_of_bf16(fitted) == w[i];
    }
    check(isRight, "fit_scales: rounded weights, coding %d, %lld weights, groups of %lld, density %g", coding,
          (long long)count, (long long)group_columns, density);
    guarded_free(&weights);
    guarded_free(&integers);
    guarded_free(&scales);
}

void test_weights(void) {
    static const float magnitudes[] = {1, 0.02f, 1e-45f, 1e-40f, 1e-30f, 1e20f, 3e38f};
    static const double densities[] = {0, 0.03, 0.2, 0.5, 1};
    static const int64_t counts[] = {32, 64, 96, 128, 160, 992, 1024};
    for (int coding = FLASH_I16; coding <= FLASH_I4; coding++) {
        for (int c = 0; c < 7; c++) {
            for (int m = 0; m < 7; m++) {
                for (int d = 0; d < 5; d++) {
                    const int64_t groups[] = {32, 128, counts[c]};
                    check_weights(
                        counts[c], groups[random_below(3)], (enum flash_coding)coding, densities[d], magnitudes[m]);
                }
            }
        }
        for (int d = 1; d < 5 && coding != FLASH_I16; d++) {
            for (int i = 0; i < 40; i++)
                check_rounded_weights(
                    32 + 32 * random_below(8), 32 << random_below(3), (enum flash_coding)coding, densities[d]);
        }
        // More than the counters of nonzeros hold at a time.
        check_weights(1 << 19, 128, (enum flash_coding)coding, 1, 1);
    }
}
