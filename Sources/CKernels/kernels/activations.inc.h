// Activations of MLPs, in place, and the cap of scores.

static void relu(float *values, int64_t count) {
    // The maximum's second operand is the result where one is NaN: NaN stays NaN.
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = load_up_to(values + i, count - i);
        store_up_to(values + i, vec_max(vec_zero(), x), count - i);
    }
}

// The normal distribution's share behind a sqrt(2), for a >= 0: erfc(a) / 2.
//
// erfc(a) = t exp(p(t) - a^2) with t = 1 / (1 + a / 2); p is our Chebyshev fit of degree 9 of the logarithm over t in
// 1/8...1, right to 7e-8, and what lies beyond is 0 in float32. Tails keep their digits.
ALWAYS_INLINE vec normal_tail(vec a) {
    static const float p[10] = {-1.26549752f, 0.999686355f, 0.377223408f, 0.0811646085f, -0.139631482f,
                                0.1914623f,   -1.03165751f, 1.4132031f,   -0.791463094f, 0.165509898f};
    const vec one = vec_broadcast(1);
    const vec t = vec_div(one, vec_fma(a, vec_broadcast(0.5f), one));
    vec exponent = vec_broadcast(p[9]);
    for (int k = 8; k >= 0; k--) exponent = vec_fma(exponent, t, vec_broadcast(p[k]));
    exponent = vec_sub(exponent, vec_mul(a, a));
    return vec_mul(vec_mul(vec_broadcast(0.5f), t), vec_exp(exponent));
}

// x times the normal distribution's share below x. One exponential serves both signs.
static void gelu(float *values, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = load_up_to(values + i, count - i);
        const vec a = vec_mul(vec_max(vec_sub(vec_zero(), x), x), vec_broadcast(0.70710678f));
        // x times the smaller of the two shares.
        const vec part = vec_mul(x, normal_tail(a));
        store_up_to(values + i, vec_select_less(x, vec_zero(), part, vec_sub(x, part)), count - i);
    }
}

// x / 2 (1 + tanh(u)) = x / (1 + exp(-2u)) with u = sqrt(2 / pi) (x + 0.044715 x^3)
ALWAYS_INLINE vec vec_gelu_tanh(vec x) {
    const vec one = vec_broadcast(1);
    const vec inner = vec_fma(vec_mul(x, x), vec_broadcast(0.044715f), one);
    const vec u = vec_mul(vec_mul(x, vec_broadcast(-1.5957691f)), inner);
    return vec_div(x, vec_add(one, vec_exp(u)));
}

static void gelu_tanh(float *values, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES)
        store_up_to(values + i, vec_gelu_tanh(load_up_to(values + i, count - i)), count - i);
}

static void gelu_tanh_multiply(float *gate, const float *up, int64_t count) {
    for (int64_t i = 0; i < count; i += LANES) {
        const vec activated = vec_gelu_tanh(load_up_to(gate + i, count - i));
        store_up_to(gate + i, vec_mul(activated, load_up_to(up + i, count - i)), count - i);
    }
}

// c tanh(x / c) = c (1 - 2 / (1 + exp(2 x / c))): off by rounding errors of c, which is what x is compared with.
static void soft_cap(float *values, int64_t count, float cap) {
    const vec one = vec_broadcast(1), caps = vec_broadcast(cap), twice = vec_broadcast(2 / cap);
    for (int64_t i = 0; i < count; i += LANES) {
        const vec x = load_up_to(values + i, count - i);
        const vec share = vec_div(vec_broadcast(2), vec_add(one, vec_exp(vec_mul(x, twice))));
        store_up_to(values + i, vec_mul(caps, vec_sub(one, share)), count - i);
    }
}
