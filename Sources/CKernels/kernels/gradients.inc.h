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

// With r = 1 / sqrt(variance + epsilon), z = (x - mean) r and g = w dy the derivative is
// r (g - mean(g) - z mean(g z)).
static void layer_norm_gradient(
    const float *input, const float *weight, int64_t width, float epsilon, const float *output_gradient,
    float *input_gradient) {
    float mean = 0, square = 0, sum = 0, product = 0;
    for (int64_t i = 0; i < width; i += LANES) mean += vec_sum(load_up_to(input + i, width - i));
    mean /= (float)width;
    const vec means = vec_broadcast(mean);
    vec squares = vec_zero(), sums = vec_zero(), products = vec_zero();
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        const vec x = vec_sub(vec_load(input + i), means);
        const vec g = vec_mul(vec_load(weight + i), vec_load(output_gradient + i));
        squares = vec_fma(x, x, squares);
        sums = vec_add(sums, g);
        products = vec_fma(x, g, products);
    }
    for (; i < width; i++) {
        const float x = input[i] - mean, g = weight[i] * output_gradient[i];
        square += x * x;
        sum += g;
        product += x * g;
    }
    const float factor = 1 / sqrtf((vec_sum(squares) + square) / (float)width + epsilon);
    const vec scale = vec_broadcast(factor);
    const vec base = vec_broadcast(-factor * (vec_sum(sums) + sum) / (float)width);
    const vec pull = vec_broadcast(-factor * factor * factor * (vec_sum(products) + product) / (float)width);
    for (i = 0; i < width; i += LANES) {
        const int64_t part = width - i;
        const vec g = vec_mul(load_up_to(weight + i, part), load_up_to(output_gradient + i, part));
        vec result = vec_fma(g, scale, vec_add(load_up_to(input_gradient + i, part), base));
        result = vec_fma(vec_sub(load_up_to(input + i, part), means), pull, result);
        store_up_to(input_gradient + i, result, part);
    }
}

static void relu_gradient(float *values, const float *output_gradient, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = load_up_to(values + i, count - i), d = load_up_to(output_gradient + i, count - i);
        store_up_to(values + i, vec_select_less(vec_zero(), x, d, vec_zero()), count - i);
    }
}

// The share of the normal distribution below x, and x times its density. See gelu for the share.
static void gelu_gradient(float *values, const float *output_gradient, int64_t count) {
    const vec one = vec_broadcast(1);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = load_up_to(values + i, count - i), d = load_up_to(output_gradient + i, count - i);
        const vec a = vec_mul(vec_max(vec_sub(vec_zero(), x), x), vec_broadcast(0.70710678f));
        const vec smaller = normal_tail(a);
        const vec share = vec_select_less(x, vec_zero(), smaller, vec_sub(one, smaller));
        const vec density = vec_mul(vec_broadcast(0.39894228f), vec_exp(vec_mul(vec_sub(vec_zero(), a), a)));
        store_up_to(values + i, vec_mul(d, vec_fma(x, density, share)), count - i);
    }
}

// With s = 1 / (1 + exp(-2u)) the output is x s and its derivative s + x s (1 - s) 2u'.
static void gelu_tanh_gradient(float *values, const float *output_gradient, int64_t count) {
    const vec one = vec_broadcast(1), factor = vec_broadcast(1.5957691f);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = load_up_to(values + i, count - i), d = load_up_to(output_gradient + i, count - i);
        const vec square = vec_mul(x, x);
        const vec u = vec_mul(vec_mul(x, factor), vec_fma(square, vec_broadcast(0.044715f), one));
        const vec s = vec_div(one, vec_add(one, vec_exp(vec_sub(vec_zero(), u))));
        const vec slope = vec_mul(factor, vec_fma(square, vec_broadcast(0.134145f), one));
        // Not x times the slope first: that may be infinite where s (1 - s) is 0.
        const vec bend = vec_mul(vec_mul(vec_mul(s, vec_sub(one, s)), x), slope);
        store_up_to(values + i, vec_mul(d, vec_add(s, bend)), count - i);
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

// Kingma, Ba, "Adam", arXiv:1412.6980, with zeros that stay. The averages of a weight that is zero fall to zero.
static void adam(
    float *weights, const float *gradient, float *first, float *second, int64_t count,
    const struct flash_adam *settings) {
    const vec first_decay = vec_broadcast(settings->first_decay), first_rest = vec_broadcast(1 - settings->first_decay);
    const vec second_decay = vec_broadcast(settings->second_decay);
    const vec second_rest = vec_broadcast(1 - settings->second_decay);
    const vec rate = vec_broadcast(settings->rate * settings->first_scale);
    const vec second_scale = vec_broadcast(settings->second_scale), epsilon = vec_broadcast(settings->epsilon);
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t part = count - i;
        const vec w = load_up_to(weights + i, part);
        const vec size = vec_max(vec_sub(vec_zero(), w), w);
        const vec slope = vec_select_less(vec_zero(), size, load_up_to(gradient + i, part), vec_zero());
        const vec m = vec_fma(first_decay, load_up_to(first + i, part), vec_mul(first_rest, slope));
        const vec v = vec_fma(second_decay, load_up_to(second + i, part), vec_mul(vec_mul(second_rest, slope), slope));
        const vec length = vec_add(vec_sqrt(vec_mul(v, second_scale)), epsilon);
        const vec moved = vec_sub(w, vec_div(vec_mul(rate, m), length));
        const vec moved_size = vec_max(vec_sub(vec_zero(), moved), moved);
        const vec kept = vec_select_less(vec_zero(), moved_size, moved, w);
        store_up_to(first + i, m, part);
        store_up_to(second + i, v, part);
        store_up_to(weights + i, vec_select_less(vec_zero(), size, kept, w), part);
    }
}
