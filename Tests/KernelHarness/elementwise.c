// Norm, rotation, activation, addition, widening.
#include "harness.h"

#include <math.h>
#include <string.h>

#define MOST 300

static struct guarded random_floats(int64_t count, float magnitude) {
    struct guarded memory = guarded_make((size_t)count * sizeof(float), 0);
    for (int64_t i = 0; i < count; i++) ((float *)memory.bytes)[i] = random_float(-1, 1) * magnitude;
    return memory;
}

static void check_norm(int64_t width, float magnitude) {
    struct guarded input = random_floats(width, magnitude), weight = random_floats(width, 2);
    struct guarded output = guarded_make((size_t)width * sizeof(float), 0);
    const float *x = (const float *)input.bytes, *w = (const float *)weight.bytes;
    double squares = 0;
    for (int64_t i = 0; i < width; i++) squares += (double)x[i] * x[i];
    const float epsilon = 1e-6f;
    const double factor = 1 / sqrt(squares / (double)width + epsilon);
    kernels->rms_norm(x, w, width, epsilon, (float *)output.bytes);
    int isRight = guarded_is_intact(&output);
    for (int64_t i = 0; i < width; i++) {
        const double expected = x[i] * factor * w[i];
        isRight &= fabs(((const float *)output.bytes)[i] - expected) <= 1e-6 * fabs(expected) + 1e-44;
    }
    check(isRight, "rms_norm: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&input);
    guarded_free(&weight);
    guarded_free(&output);
}

static void check_rotation(int64_t half, int64_t heads) {
    struct guarded values = random_floats(heads * 2 * half, 3), cosines = random_floats(half, 1);
    struct guarded sines = random_floats(half, 1);
    float before[4 * 2 * MOST];
    memcpy(before, values.bytes, values.count);
    kernels->rotate(
        (float *)values.bytes, heads, 2 * half, (const float *)cosines.bytes, (const float *)sines.bytes);
    int isRight = guarded_is_intact(&values);
    for (int64_t i = 0; i < heads * half; i++) {
        const int64_t first = i / half * 2 * half + i % half, second = first + half;
        const double a = before[first], b = before[second];
        const double cosine = ((const float *)cosines.bytes)[i % half], sine = ((const float *)sines.bytes)[i % half];
        const float *found = (const float *)values.bytes;
        isRight &= fabs(found[first] - (a * cosine - b * sine)) <= 1e-6;
        isRight &= fabs(found[second] - (b * cosine + a * sine)) <= 1e-6;
    }
    check(isRight, "rotate: %lld heads of %lld", (long long)heads, (long long)(2 * half));
    guarded_free(&values);
    guarded_free(&cosines);
    guarded_free(&sines);
}

static void check_activation(int64_t width, float magnitude) {
    struct guarded gate = random_floats(width, magnitude), up = random_floats(width, 2);
    float before[MOST];
    memcpy(before, gate.bytes, gate.count);
    kernels->silu_multiply((float *)gate.bytes, (const float *)up.bytes, width);
    int isRight = guarded_is_intact(&gate);
    for (int64_t i = 0; i < width; i++) {
        const double x = before[i], expected = x / (1 + exp(-x)) * ((const float *)up.bytes)[i];
        // Where the sigmoid is below 1e-38 the result is as good as zero.
        const double error = fabs(((const float *)gate.bytes)[i] - expected);
        isRight &= error <= 1e-6 * fabs(expected) + 1e-37 * fabs(x) + 1e-44;
    }
    check(isRight, "silu_multiply: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&gate);
    guarded_free(&up);
}

static void check_gated_gelu(int64_t width, float magnitude) {
    struct guarded gate = random_floats(width, magnitude), up = random_floats(width, 2);
    float before[MOST];
    memcpy(before, gate.bytes, gate.count);
    kernels->gelu_tanh((float *)gate.bytes, width);
    float expected[MOST];
    memcpy(expected, gate.bytes, gate.count);
    memcpy(gate.bytes, before, gate.count);
    kernels->gelu_tanh_multiply((float *)gate.bytes, (const float *)up.bytes, width);
    int isRight = guarded_is_intact(&gate);
    for (int64_t i = 0; i < width; i++)
        isRight &= ((const float *)gate.bytes)[i] == expected[i] * ((const float *)up.bytes)[i];
    check(isRight, "gelu_tanh_multiply: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&gate);
    guarded_free(&up);
}

static void check_soft_cap(int64_t width, float magnitude) {
    struct guarded values = random_floats(width, magnitude);
    float before[MOST];
    memcpy(before, values.bytes, values.count);
    const float cap = 30;
    kernels->soft_cap((float *)values.bytes, width, cap);
    int isRight = guarded_is_intact(&values);
    for (int64_t i = 0; i < width; i++)
        isRight &= fabs(((const float *)values.bytes)[i] - cap * tanh((double)before[i] / cap)) <= 4e-7 * cap;
    check(isRight, "soft_cap: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&values);
}

static void check_layer_norm(int64_t width, float magnitude) {
    struct guarded values = random_floats(width, magnitude), weight = random_floats(width, 2);
    struct guarded bias = random_floats(width, 1);
    float before[MOST];
    memcpy(before, values.bytes, values.count);
    const float epsilon = 1e-6f;
    double mean = 0, variance = 0;
    for (int64_t i = 0; i < width; i++) mean += before[i];
    mean /= (double)width;
    for (int64_t i = 0; i < width; i++) variance += (before[i] - mean) * (before[i] - mean);
    const double factor = 1 / sqrt(variance / (double)width + epsilon);
    float *x = (float *)values.bytes;
    kernels->layer_norm(x, (const float *)weight.bytes, (const float *)bias.bytes, width, epsilon, x);
    int isRight = guarded_is_intact(&values);
    for (int64_t i = 0; i < width; i++) {
        const double expected =
            (before[i] - mean) * factor * ((const float *)weight.bytes)[i] + ((const float *)bias.bytes)[i];
        isRight &= fabs(x[i] - expected) <= 1e-5;
    }
    check(isRight, "layer_norm: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&values);
    guarded_free(&weight);
    guarded_free(&bias);
}

static void check_plain_activations(int64_t width, float magnitude) {
    for (int kind = 0; kind < 3; kind++) {
        struct guarded values = random_floats(width, magnitude);
        float before[MOST];
        memcpy(before, values.bytes, values.count);
        void (*const kernel)(float *, int64_t) =
            kind == 0 ? kernels->relu : kind == 1 ? kernels->gelu : kernels->gelu_tanh;
        kernel((float *)values.bytes, width);
        int isRight = guarded_is_intact(&values);
        for (int64_t i = 0; i < width; i++) {
            const double x = before[i], u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
            const double expected =
                kind == 0 ? fmax(x, 0) : kind == 1 ? x * erfc(-x / sqrt(2)) / 2 : x / (1 + exp(-2 * u));
            // An exponent of 80 has lost digits before it is one: tails are right to fewer.
            const double error = fabs(((const float *)values.bytes)[i] - expected);
            isRight &= error <= 3e-5 * fabs(expected) + 1e-36 * (1 + fabs(x)) && error <= 1e-6 * fmax(1, fabs(x));
        }
        check(isRight, "activation %d: %lld elements up to %g", kind, (long long)width, magnitude);
        guarded_free(&values);
    }
}

static void check_softmax(int64_t width, float magnitude) {
    struct guarded scores = random_floats(width, magnitude);
    float before[MOST];
    memcpy(before, scores.bytes, scores.count);
    const float scale = 0.25f;
    kernels->softmax((float *)scores.bytes, width, scale);
    int isRight = guarded_is_intact(&scores);
    double largest = -INFINITY, sum = 0;
    for (int64_t i = 0; i < width; i++) largest = fmax(largest, (double)(before[i] * scale));
    for (int64_t i = 0; i < width; i++) sum += exp(before[i] * scale - largest);
    for (int64_t i = 0; i < width; i++) {
        const double expected = exp(before[i] * scale - largest) / sum;
        isRight &= fabs(((const float *)scores.bytes)[i] - expected) <= 1e-5 * expected + 1e-37;
    }
    check(isRight, "softmax: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&scores);
}

static double norm_loss(
    int is_layer, const double *x, const float *weight, const float *d, int64_t width, double epsilon) {
    double mean = 0, square = 0, loss = 0;
    for (int64_t i = 0; is_layer && i < width; i++) mean += x[i] / (double)width;
    for (int64_t i = 0; i < width; i++) square += (x[i] - mean) * (x[i] - mean);
    for (int64_t i = 0; i < width; i++)
        loss += d[i] * (x[i] - mean) * weight[i] / sqrt(square / (double)width + epsilon);
    return loss;
}

// Against differences of the loss sum(d * output) in double precision.
static void check_norm_gradient(int is_layer, int64_t width) {
    struct guarded x = random_floats(width, 1), weight = random_floats(width, 1), d = random_floats(width, 1);
    struct guarded gradient = random_floats(width, 1);
    float before[MOST];
    memcpy(before, gradient.bytes, gradient.count);
    const float epsilon = 1e-2f, *weights = (const float *)weight.bytes, *ds = (const float *)d.bytes;
    (is_layer ? kernels->layer_norm_gradient : kernels->rms_norm_gradient)(
        (const float *)x.bytes, weights, width, epsilon, ds, (float *)gradient.bytes);
    int isRight = guarded_is_intact(&gradient);
    double inputs[MOST];
    for (int64_t i = 0; i < width; i++) inputs[i] = ((const float *)x.bytes)[i];
    for (int64_t i = 0; i < width; i++) {
        const double step = 1e-6, middle = inputs[i];
        inputs[i] = middle + step;
        const double above = norm_loss(is_layer, inputs, weights, ds, width, epsilon);
        inputs[i] = middle - step;
        const double below = norm_loss(is_layer, inputs, weights, ds, width, epsilon);
        inputs[i] = middle;
        const double expected = before[i] + (above - below) / (2 * step);
        isRight &= fabs(((const float *)gradient.bytes)[i] - expected) <= 2e-5 * (1 + fabs(expected));
    }
    check(isRight, "gradient of norm %d: %lld elements", is_layer, (long long)width);
    guarded_free(&x);
    guarded_free(&weight);
    guarded_free(&d);
    guarded_free(&gradient);
}

static void check_plain_activation_gradients(int64_t width, float magnitude) {
    for (int kind = 0; kind < 3; kind++) {
        struct guarded values = random_floats(width, magnitude), d = random_floats(width, 1);
        float before[MOST];
        memcpy(before, values.bytes, values.count);
        void (*const kernel)(float *, const float *, int64_t) =
            kind == 0 ? kernels->relu_gradient : kind == 1 ? kernels->gelu_gradient : kernels->gelu_tanh_gradient;
        kernel((float *)values.bytes, (const float *)d.bytes, width);
        int isRight = guarded_is_intact(&values);
        for (int64_t i = 0; i < width; i++) {
            const double x = before[i], u = sqrt(2 / M_PI) * (x + 0.044715 * x * x * x);
            const double slope = sqrt(2 / M_PI) * (1 + 0.134145 * x * x), sigmoid = 1 / (1 + exp(-2 * u));
            const double derivative =
                kind == 0   ? x > 0
                : kind == 1 ? erfc(-x / sqrt(2)) / 2 + x * exp(-x * x / 2) / sqrt(2 * M_PI)
                            : sigmoid + x * sigmoid * (1 - sigmoid) * 2 * slope;
            const double error = fabs(((const float *)values.bytes)[i] - derivative * ((const float *)d.bytes)[i]);
            isRight &= error <= 4e-6;
        }
        check(isRight, "gradient of activation %d: %lld elements up to %g", kind, (long long)width, magnitude);
        guarded_free(&values);
        guarded_free(&d);
    }
}

static void check_activation_gradient(int64_t width, float magnitude) {
    struct guarded gate = random_floats(width, magnitude), up = random_floats(width, 2), d = random_floats(width, 1);
    float gates[MOST], ups[MOST];
    memcpy(gates, gate.bytes, gate.count);
    memcpy(ups, up.bytes, up.count);
    kernels->silu_gradient((float *)gate.bytes, (float *)up.bytes, (const float *)d.bytes, width);
    int isRight = guarded_is_intact(&gate) && guarded_is_intact(&up);
    for (int64_t i = 0; i < width; i++) {
        const double g = gates[i], sigmoid = 1 / (1 + exp(-g)), derivative = ((const float *)d.bytes)[i];
        const double by_gate = derivative * ups[i] * sigmoid * (1 + g * (1 - sigmoid));
        const double by_up = derivative * g * sigmoid;
        // The sum 1 + g (1 - s) loses digits where it is near 0.
        isRight &= fabs(((const float *)gate.bytes)[i] - by_gate) <= (1 + fabs(g)) * (2e-6 * sigmoid + 1e-36);
        isRight &= fabs(((const float *)up.bytes)[i] - by_up) <= 2e-6 * fabs(by_up) + 1e-36 * (1 + fabs(g));
    }
    check(isRight, "silu_gradient: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&gate);
    guarded_free(&up);
    guarded_free(&d);
}

static void check_softmax_gradient(int64_t width) {
    struct guarded weights = random_floats(width, 1), d = random_floats(width, 1);
    float *p = (float *)weights.bytes, before[MOST];
    memcpy(before, d.bytes, d.count);
    kernels->softmax(p, width, 3);
    kernels->softmax_gradient(p, (float *)d.bytes, width, 0.5f);
    int isRight = guarded_is_intact(&d);
    double mean = 0;
    for (int64_t i = 0; i < width; i++) mean += (double)p[i] * before[i];
    for (int64_t i = 0; i < width; i++) {
        const double expected = 0.5 * p[i] * (before[i] - mean);
        isRight &= fabs(((const float *)d.bytes)[i] - expected) <= 1e-6 * p[i];
    }
    check(isRight, "softmax_gradient: %lld elements", (long long)width);
    guarded_free(&weights);
    guarded_free(&d);
}

// Some weights are zeros, and averages are there already.
static void check_adam(int64_t width, float magnitude) {
    struct guarded weights = random_floats(width, 1), gradient = random_floats(width, magnitude);
    struct guarded first = random_floats(width, magnitude), second = random_floats(width, magnitude);
    float *w = (float *)weights.bytes, *g = (float *)gradient.bytes;
    float *m = (float *)first.bytes, *v = (float *)second.bytes;
    const struct flash_adam settings = {0.9f, 0.98f, 1.5f, 20, 1e-3f, 1e-8f};
    for (int64_t i = 0; i < width; i++) {
        v[i] *= v[i];
        if (random_below(3) == 0) w[i] = random_bits() & 1 ? 0.0f : -0.0f;
    }
    float before[4][MOST];
    memcpy(before[0], w, weights.count);
    memcpy(before[1], g, gradient.count);
    memcpy(before[2], m, first.count);
    memcpy(before[3], v, second.count);
    kernels->adam(w, g, m, v, width, &settings);
    int isRight = guarded_is_intact(&weights) & guarded_is_intact(&first) & guarded_is_intact(&second);
    isRight &= memcmp(before[1], g, gradient.count) == 0;
    for (int64_t i = 0; i < width; i++) {
        const double old = before[0][i], slope = old == 0 ? 0 : before[1][i];
        const double average = 0.9f * (double)before[2][i] + (1 - 0.9f) * slope;
        const double square = 0.98f * (double)before[3][i] + (1 - 0.98f) * slope * slope;
        const double change = 1e-3f * 1.5 * average / (sqrt(square * 20) + 1e-8f);
        isRight &= fabs(m[i] - average) <= 3e-7 * magnitude;
        isRight &= fabs(v[i] - square) <= 1e-6 * square + 1e-44;
        if (old == 0) isRight &= memcmp(&w[i], &before[0][i], 4) == 0;
        else isRight &= fabs(w[i] - (old - change)) <= 1e-7 + 1e-5 * fabs(change) && w[i] != 0;
    }
    check(isRight, "adam: %lld elements up to %g", (long long)width, magnitude);
    guarded_free(&weights);
    guarded_free(&gradient);
    guarded_free(&first);
    guarded_free(&second);
}

// A weight whose step would end on zero stays where it was.
static void check_adam_at_zero(void) {
    const struct flash_adam settings = {0, 0, 1, 1, 0.5f, 0};
    float w[3] = {0.5f, -0.5f, 1}, g[3] = {1, -1, 1}, m[3] = {0}, v[3] = {0};
    kernels->adam(w, g, m, v, 3, &settings);
    check(w[0] == 0.5f && w[1] == -0.5f && w[2] == 0.5f, "adam: %g, %g, %g beside zero", w[0], w[1], w[2]);
}

static void check_addition(int64_t width, float magnitude) {
    struct guarded target = random_floats(width, magnitude), addend = random_floats(width, 1);
    float before[MOST];
    memcpy(before, target.bytes, target.count);
    kernels->add((float *)target.bytes, (const float *)addend.bytes, width);
    int isRight = guarded_is_intact(&target);
    for (int64_t i = 0; i < width; i++)
        isRight &= ((const float *)target.bytes)[i] == before[i] + ((const float *)addend.bytes)[i];
    check(isRight, "add: %lld elements", (long long)width);
    guarded_free(&target);
    guarded_free(&addend);
}

// `count` patterns from `first` on.
static void check_widening(enum flash_element element, uint32_t first, int64_t count) {
    struct guarded input = guarded_make((size_t)count * (element == FLASH_F32 ? 4 : 2), 0);
    struct guarded output = guarded_make((size_t)count * sizeof(float), 0);
    for (int64_t i = 0; i < count; i++) {
        if (element == FLASH_F32) {
            ((float *)input.bytes)[i] = random_float(-1, 1);
        } else {
            ((uint16_t *)input.bytes)[i] = (uint16_t)(first + (uint32_t)i);
        }
    }
    kernels->widen(input.bytes, element, count, (float *)output.bytes);
    int isRight = guarded_is_intact(&output);
    for (int64_t i = 0; i < count; i++) {
        float expected;
        if (element == FLASH_F32) {
            expected = ((const float *)input.bytes)[i];
        } else {
            expected = flash_widen_one(((const uint16_t *)input.bytes)[i], element);
        }
        const float found = ((const float *)output.bytes)[i];
        isRight &= memcmp(&found, &expected, sizeof found) == 0 || (isnan(found) && isnan(expected));
    }
    check(isRight, "widen: element type %d, %lld from %u on", element, (long long)count, first);
    guarded_free(&input);
    guarded_free(&output);
}

void test_elementwise(void) {
    static const float magnitudes[] = {1, 1e-3f, 10, 90, 1e-20f, 1e4f, 1e-41f};
    for (int64_t width = 1; width <= 140; width++) {
        for (int m = 0; m < 7; m++) {
            check_norm(width, magnitudes[m]);
            check_activation(width, magnitudes[m]);
            check_gated_gelu(width, magnitudes[m]);
            check_soft_cap(width, magnitudes[m]);
            check_softmax(width, magnitudes[m]);
            check_layer_norm(width, magnitudes[m]);
            check_plain_activations(width, magnitudes[m]);
            check_activation_gradient(width, magnitudes[m]);
            check_plain_activation_gradients(width, magnitudes[m]);
            check_addition(width, magnitudes[m]);
        }
        check_norm_gradient(0, width);
        check_norm_gradient(1, width);
        check_softmax_gradient(width);
        check_adam(width, 1);
        check_adam(width, 1e-4f);
        check_rotation(width, 1 + random_below(4));
        for (int element = FLASH_F32; element <= FLASH_BF16; element++)
            check_widening((enum flash_element)element, (uint32_t)random_below(65536), width);
    }
    check_adam_at_zero();
    check_activation(64, 1e30f);
    check_widening(FLASH_F16, 0, 65536);
    check_widening(FLASH_BF16, 0, 65536);
}
