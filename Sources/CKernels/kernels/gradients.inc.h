// The steps of elementwise.inc.h backwards.

// The sum over a row of a[i] * b[i].
ALWAYS_INLINE float row_dot(const float *a, const float *b, int64_t count) {
    vec sum = vec_zero();
    int64_t i = 0;
    for (; i + LANES <= count; i += LANES) sum = vec_fma(vec_load(a + i), vec_load(b + i), sum);
    if (i < count) sum = vec_fma(vec_load_part(a + i, count - i), vec_load_part(b + i, count - i), sum);
    return vec_sum(sum);
}

// With r = 1 / sqrt(mean(x^2) + epsilon) the output is x w r, and its derivative r w dy - x r^3 sum(x w dy) / width.
static void rms_norm_gradient(
    const float *input, const float *weight, int64_t width, float epsilon, const float *output_gradient,
    float *input_gradient) {
    const float square = row_dot(input, input, width);
    vec sum = vec_zero();
    for (int64_t i = 0; i < width; i += LANES) {
        const int64_t part = width - i < LANES ? width - i : LANES;
        const vec product = vec_mul(load_up_to(weight + i, part), load_up_to(output_gradient + i, part));
        sum = vec_fma(load_up_to(input + i, part), product, sum);
    }
    const float factor = 1 / sqrtf(square / (float)width + epsilon);
    const vec scale = vec_broadcast(factor);
    const vec pull = vec_broadcast(-factor * factor * factor * vec_sum(sum) / (float)width);
    for (int64_t i = 0; i < width; i += LANES) {
        const int64_t part = width - i < LANES ? width - i : LANES;
        const vec product = vec_mul(load_up_to(weight + i, part), load_up_to(output_gradient + i, part));
        vec result = vec_fma(product, scale, load_up_to(input_gradient + i, part));
        result = vec_fma(load_up_to(input + i, part), pull, result);
        store_up_to(input_gradient + i, result, part);
    }
}

// With s = 1 / (1 + e^-g) the output is g s u; its derivatives are u s (1 + g (1 - s)) and g s.
static void silu_gradient(float *gate, float *up, const float *output_gradient, int64_t count) {
    const vec one = vec_broadcast(1);
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t part = count - i;
        const vec g = load_up_to(gate + i, part), u = load_up_to(up + i, part);
        const vec d = load_up_to(output_gradient + i, part);
        const vec s = vec_div(one, vec_add(one, vec_exp(vec_sub(vec_zero(), g))));
        const vec slope = vec_mul(s, vec_fma(g, vec_sub(one, s), one));
        store_up_to(gate + i, vec_mul(d, vec_mul(u, slope)), part);
        store_up_to(up + i, vec_mul(d, vec_mul(g, s)), part);
    }
}

static void softmax_gradient(const float *weights, float *output_gradient, int64_t count, float scale) {
    const vec mean = vec_broadcast(row_dot(weights, output_gradient, count)), factor = vec_broadcast(scale);
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t part = count - i;
        const vec difference = vec_sub(load_up_to(output_gradient + i, part), mean);
        const vec weight = vec_mul(load_up_to(weights + i, part), factor);
        store_up_to(output_gradient + i, vec_mul(weight, difference), part);
    }
}
