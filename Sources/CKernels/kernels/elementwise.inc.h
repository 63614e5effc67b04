// Norm, rotation, activation, addition, transposition.

// e^a to about 2 units in the last place. e^a below 2^-126 is 0 (so a masked score counts nothing), NaN stays NaN.
// a = n ln 2 + r with |r| <= ln 2 / 2; e^r by its Taylor polynomial of degree 7 (error 5e-9); ln 2 in two parts
// (Cody, Waite).
ALWAYS_INLINE vec vec_exp(vec a) {
    const vec low = vec_broadcast(-87.33654f);
    vec x = vec_min(vec_broadcast(88.0f), vec_max(low, a));
    vec n = vec_round(vec_mul(x, vec_broadcast(1.44269504f)));
    vec r = vec_fma(n, vec_broadcast(-0.693359375f), x);
    r = vec_fma(n, vec_broadcast(2.12194440e-4f), r);
    vec p = vec_broadcast(1.0f / 5040);
    p = vec_fma(p, r, vec_broadcast(1.0f / 720));
    p = vec_fma(p, r, vec_broadcast(1.0f / 120));
    p = vec_fma(p, r, vec_broadcast(1.0f / 24));
    p = vec_fma(p, r, vec_broadcast(1.0f / 6));
    p = vec_fma(p, r, vec_broadcast(0.5f));
    p = vec_fma(p, r, vec_broadcast(1.0f));
    p = vec_fma(p, r, vec_broadcast(1.0f));
    return vec_select_less(a, low, vec_zero(), vec_scale(p, n));
}

static void rms_norm(const float *input, const float *weight, int64_t width, float epsilon, float *output) {
    vec sum = vec_zero();
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) {
        vec x = vec_load(input + i);
        sum = vec_fma(x, x, sum);
    }
    if (i < width) {
        vec x = vec_load_part(input + i, width - i);
        sum = vec_fma(x, x, sum);
    }
    const vec factor = vec_broadcast(1 / sqrtf(vec_sum(sum) / (float)width + epsilon));
    for (i = 0; i + LANES <= width; i += LANES)
        vec_store(output + i, vec_mul(vec_mul(vec_load(input + i), factor), vec_load(weight + i)));
    if (i < width) {
        vec x = vec_mul(vec_load_part(input + i, width - i), factor);
        vec_store_part(output + i, vec_mul(x, vec_load_part(weight + i, width - i)), width - i);
    }
}

static void rms_norm_heads(
    float *heads, int64_t head_count, int64_t head_width, const float *weight, float epsilon) {
    for (int64_t head = 0; head < head_count; head++)
        rms_norm(heads + head * head_width, weight, head_width, epsilon, heads + head * head_width);
}

// The variance is summed up around the mean, in a pass of its own: squares less the mean's square would lose digits.
static void layer_norm(
    const float *input, const float *weight, const float *bias, int64_t width, float epsilon, float *output) {
    vec sums = vec_zero();
    float rest = 0;
    int64_t i = 0;
    for (; i + LANES <= width; i += LANES) sums = vec_add(sums, vec_load(input + i));
    for (; i < width; i++) rest += input[i];
    const float mean = (vec_sum(sums) + rest) / (float)width;
    const vec means = vec_broadcast(mean);
    sums = vec_zero();
    rest = 0;
    for (i = 0; i + LANES <= width; i += LANES) {
        const vec x = vec_sub(vec_load(input + i), means);
        sums = vec_fma(x, x, sums);
    }
    for (; i < width; i++) rest += (input[i] - mean) * (input[i] - mean);
    const float factor = 1 / sqrtf((vec_sum(sums) + rest) / (float)width + epsilon);
    const vec factors = vec_broadcast(factor);
    for (i = 0; i + LANES <= width; i += LANES) {
        const vec x = vec_mul(vec_sub(vec_load(input + i), means), factors);
        vec_store(output + i, vec_fma(x, vec_load(weight + i), vec_load(bias + i)));
    }
    for (; i < width; i++) output[i] = (input[i] - mean) * factor * weight[i] + bias[i];
}

// Masked loads and stores take many times as long as whole ones: only the last vector of a row is loaded in part.
ALWAYS_INLINE vec load_up_to(const float *p, int64_t count) {
    return count >= LANES ? vec_load(p) : vec_load_part(p, count);
}
ALWAYS_INLINE void store_up_to(float *p, vec a, int64_t count) {
    if (count >= LANES) {
        vec_store(p, a);
    } else {
        vec_store_part(p, a, count);
    }
}

static void rotate(
    float *heads, int64_t head_count, int64_t head_width, const float *cosines, const float *sines) {
    const int64_t half = head_width / 2;
    for (int64_t head = 0; head < head_count; head++) {
        float *first = heads + head * head_width, *second = first + half;
        for (int64_t i = 0; i < half; i += LANES) {
            const int64_t left = half - i;
            vec a = load_up_to(first + i, left), b = load_up_to(second + i, left);
            vec cosine = load_up_to(cosines + i, left), sine = load_up_to(sines + i, left);
            store_up_to(first + i, vec_sub(vec_mul(a, cosine), vec_mul(b, sine)), left);
            store_up_to(second + i, vec_fma(b, cosine, vec_mul(a, sine)), left);
        }
    }
}

static void silu_multiply(float *gate, const float *up, int64_t count) {
    const vec one = vec_broadcast(1);
    for (int64_t i = 0; i < count; i += LANES) {
        vec x = load_up_to(gate + i, count - i);
        vec activated = vec_div(x, vec_add(one, vec_exp(vec_sub(vec_zero(), x))));
        store_up_to(gate + i, vec_mul(activated, load_up_to(up + i, count - i)), count - i);
    }
}

static void softmax(float *scores, int64_t count, float scale) {
    const vec factor = vec_broadcast(scale);
    vec maxima = vec_broadcast(-INFINITY);
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t part = count - i;
        vec x = vec_mul(load_up_to(scores + i, part), factor);
        // Lanes behind the last score must not count.
        if (part < LANES) {
            float lanes[LANES];
            vec_store(lanes, x);
            for (int64_t lane = part; lane < LANES; lane++) lanes[lane] = -INFINITY;
            x = vec_load(lanes);
        }
        maxima = vec_max(x, maxima);
    }
    const vec largest = vec_broadcast(vec_max_lane(maxima));
    float total = 0;
    vec sums = vec_zero();
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t part = count - i;
        const vec weight = vec_exp(vec_sub(vec_mul(load_up_to(scores + i, part), factor), largest));
        store_up_to(scores + i, weight, part);
        if (part >= LANES) {
            sums = vec_add(sums, weight);
        } else {
            for (int64_t lane = i; lane < count; lane++) total += scores[lane];
        }
    }
    const vec inverse = vec_broadcast(1 / (total + vec_sum(sums)));
    for (int64_t i = 0; i < count; i += LANES) {
        const int64_t part = count - i;
        store_up_to(scores + i, vec_mul(load_up_to(scores + i, part), inverse), part);
    }
}

static void add(float *target, const float *addend, int64_t count) {
    for (int64_t i = 0; i < count; i++) target[i] += addend[i];
}

// `height` rows of `width` elements, LANES at most of both, as columns; zeros where there are none.
ALWAYS_INLINE void load_columns(const float *input, int64_t stride, int64_t height, int64_t width, vec columns[LANES]) {
    UNROLL for (int i = 0; i < LANES; i++)
        columns[i] = i < height ? load_up_to(input + i * stride, width) : vec_zero();
    vec_transpose(columns);
}

// A matrix as its transpose, `[columns, rows]`.
static void transpose_matrix(
    const float *input, int64_t input_stride, int64_t rows, int64_t columns, float *output, int64_t output_stride) {
    for (int64_t c = 0; c < columns; c += LANES) {
        const int64_t width = columns - c < LANES ? columns - c : LANES;
        for (int64_t r = 0; r < rows; r += LANES) {
            const int64_t height = rows - r < LANES ? rows - r : LANES;
            vec tile[LANES];
            load_columns(input + r * input_stride + c, input_stride, height, width, tile);
            for (int64_t i = 0; i < width; i++) store_up_to(output + (c + i) * output_stride + r, tile[i], height);
        }
    }
}
