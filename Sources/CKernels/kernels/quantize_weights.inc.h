// Rounding of weights to integers with a scale, when a model is packed. Plain vectors of 16 floats rather than the
// vector layer: sums are added up in the same order by every instruction set, so that a matrix packs to the same bytes
// everywhere.

// How wide vectors would be passed is no question where every function is inlined.
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wpsabi"

typedef float weight_lanes __attribute__((vector_size(64), aligned(4)));
typedef int16_t integer_lanes __attribute__((vector_size(32), aligned(2)));
#define WEIGHT_LANES 16

ALWAYS_INLINE weight_lanes weights_load(const float *weights) { return *(const weight_lanes *)weights; }

// To nearest even for |x| < 2^22.
ALWAYS_INLINE weight_lanes weights_round(weight_lanes x) { return (x + 12582912.0f) - 12582912.0f; }

ALWAYS_INLINE weight_lanes weights_clamp(weight_lanes x, float low, float high) {
    const weight_lanes zero = {0};
    return __builtin_elementwise_min(__builtin_elementwise_max(x, zero + low), zero + high);
}

ALWAYS_INLINE float weights_sum(weight_lanes x) {
    float sum = 0;
    for (int i = 0; i < WEIGHT_LANES; i++) sum += x[i];
    return sum;
}

ALWAYS_INLINE float coding_low(enum flash_coding coding) {
    return coding == FLASH_I16 ? -32767 : coding == FLASH_I8 ? -127 : -8;
}
ALWAYS_INLINE float coding_high(enum flash_coding coding) {
    return coding == FLASH_I16 ? 32767 : coding == FLASH_I8 ? 127 : 7;
}

ALWAYS_INLINE uint32_t float_bits(float x) {
    uint32_t bits;
    __builtin_memcpy(&bits, &x, sizeof bits);
    return bits;
}
ALWAYS_INLINE float float_from_bits(uint32_t bits) {
    float x;
    __builtin_memcpy(&x, &bits, sizeof x);
    return x;
}

// The scale as it is stored: bf16 bits. Rounded away from zero for I16, whose largest integer would else be cut by up
// to 64 steps, to nearest even for the others. Never subnormal, whose inverse would overflow, and never so large that
// the largest weight would become infinite.
ALWAYS_INLINE uint16_t store_scale(float scale, enum flash_coding coding) {
    const float least = 0x1p-126f;
    if (__builtin_fabsf(scale) < least) scale = scale < 0 ? -least : least;
    const uint32_t bits = float_bits(scale);
    uint32_t rounded = (bits + (coding == FLASH_I16 ? 0xFFFF : 0x7FFF + (bits >> 16 & 1))) >> 16;
    while (__builtin_isinf(float_from_bits(rounded << 16) * coding_low(coding))) rounded--;
    return (uint16_t)rounded;
}

struct scale_fit {
    float scale, error;
};

// Keeps the better of `best` and the scale that fits the integers to which `candidate` rounds the weights.
ALWAYS_INLINE void try_scale(
    const float *weights, int64_t count, enum flash_coding coding, float candidate, struct scale_fit *best) {
    const float low = coding_low(coding), high = coding_high(coding);
    weight_lanes products = {0}, squares = {0};
    float inverse = 1 / candidate;
    for (int64_t i = 0; i < count; i += WEIGHT_LANES) {
        const weight_lanes w = weights_load(weights + i);
        const weight_lanes q = weights_round(weights_clamp(w * inverse, low, high));
        products += w * q;
        squares += q * q;
    }
    const float square = weights_sum(squares);
    if (!(square > 0)) return;
    const uint16_t stored = store_scale(weights_sum(products) / square, coding);
    const float scale = float_from_bits((uint32_t)stored << 16);
    inverse = 1 / scale;
    weight_lanes errors = {0};
    for (int64_t i = 0; i < count; i += WEIGHT_LANES) {
        const weight_lanes w = weights_load(weights + i);
        const weight_lanes error = w - weights_round(weights_clamp(w * inverse, low, high)) * scale;
        errors += error * error;
    }
    const float error = weights_sum(errors);
    if (error < best->error) *best = (struct scale_fit){.scale = scale, .error = error};
}

// What the weight of the largest magnitude is divided by to get scales that are tried. For I4 it shall become -8 or,
// better for the others, be cut off there. Root mean square errors of SmolLM2's projections in groups of 128, relative
// to the weights: I4 0.109 with -8 alone, 0.103 with 3 divisors, 0.0997 with these 9, 0.0995 with 34 of either sign;
// I8 0.0069 with 127 alone, 0.0065 with these.
static const float scale_divisors_i8[] = {127, 126, 125, 128};
static const float scale_divisors_i4[] = {-8, -7, -7.5f, -8.5f, -9, -9.5f, -10, -10.5f, -11};

// Whether the integers to which a scale rounds the weights give just these weights.
ALWAYS_INLINE int is_exact(const float *weights, int64_t count, enum flash_coding coding, float scale) {
    const float low = coding_low(coding), high = coding_high(coding);
    for (int64_t i = 0; i < count; i += WEIGHT_LANES) {
        const weight_lanes w = weights_load(weights + i);
        const integer_lanes differ = __builtin_convertvector(
            w != weights_round(weights_clamp(w / scale, low, high)) * scale, integer_lanes);
        for (int lane = 0; lane < WEIGHT_LANES; lane++)
            if (differ[lane]) return 0;
    }
    return 1;
}

// The scale of weights that were rounded to integers before, and shall lose nothing more: the largest that gives just
// these weights; 0 if there is none. The extreme weight is k times the scale for some k, and so that this is quickly
// seen to be wrong, another weight must be a whole number of scales, too.
static uint16_t exact_scale(const float *weights, int64_t count, enum flash_coding coding, float extreme) {
    float probe = extreme;
    for (int64_t i = 0; i < count; i++) {
        if (weights[i] != 0 && weights[i] != extreme) {
            probe = weights[i];
            break;
        }
    }
    const float ratio = probe / extreme;
    const int most = (int)-coding_low(coding);
    for (int first = 1; first <= most; first += WEIGHT_LANES) {
        weight_lanes multiples;
        for (int lane = 0; lane < WEIGHT_LANES; lane++) multiples[lane] = (float)(first + lane) * ratio;
        const weight_lanes off = multiples - weights_round(multiples);
        for (int lane = 0; lane < WEIGHT_LANES && first + lane <= most; lane++) {
            const int k = first + lane;
            if (__builtin_fabsf(off[lane]) > 1e-4f) continue;
            // Only the least integer can be that far away from 0.
            const float size = __builtin_fabsf(extreme) / (float)k;
            const float exact = (float)k > coding_high(coding) && extreme > 0 ? -size : size;
            const uint16_t stored = store_scale(exact, coding);
            const float scale = float_from_bits((uint32_t)stored << 16);
            if (scale == exact && is_exact(weights, count, coding, scale)) return stored;
        }
    }
    return 0;
}

static uint16_t fit_scale(const float *weights, int64_t count, enum flash_coding coding) {
    weight_lanes largest = {0}, least = {0};
    for (int64_t i = 0; i < count; i += WEIGHT_LANES) {
        largest = __builtin_elementwise_max(largest, weights_load(weights + i));
        least = __builtin_elementwise_min(least, weights_load(weights + i));
    }
    float high = 0, low = 0;
    for (int i = 0; i < WEIGHT_LANES; i++) {
        high = largest[i] > high ? largest[i] : high;
        low = least[i] < low ? least[i] : low;
    }
    const float extreme = high >= -low ? high : low, magnitude = __builtin_fabsf(extreme);
    if (magnitude == 0) return 0;
    // The scale that cuts nothing off.
    const uint16_t plain = store_scale(magnitude / coding_high(coding), coding);
    // Squares of very large and very small weights leave the range of float32.
    if (coding == FLASH_I16 || !(magnitude > 0x1p-40f && magnitude < 0x1p40f)) return plain;
    const uint16_t exact = exact_scale(weights, count, coding, extreme);
    if (exact != 0) return exact;
    struct scale_fit best = {.scale = float_from_bits((uint32_t)plain << 16), .error = INFINITY};
    const float *divisors = coding == FLASH_I8 ? scale_divisors_i8 : scale_divisors_i4;
    const size_t divisor_bytes = coding == FLASH_I8 ? sizeof scale_divisors_i8 : sizeof scale_divisors_i4;
    for (size_t i = 0; i < divisor_bytes / sizeof(float); i++)
        try_scale(weights, count, coding, extreme / divisors[i], &best);
    return (uint16_t)(float_bits(best.scale) >> 16);
}

static void fit_scales(
    const float *weights, int64_t count, int64_t group_columns, enum flash_coding coding, uint16_t *scales) {
    for (int64_t first = 0; first < count; first += group_columns) {
        const int64_t part = count - first < group_columns ? count - first : group_columns;
        *scales = fit_scale(weights + first, part, coding);
        scales += FLASH_QUANTIZED_ROWS;
    }
}

// Adds the nonzeros in even and in odd chunks, counted for each place in 16 columns.
ALWAYS_INLINE void add_counts(integer_lanes nonzeros, int64_t chunk_columns, int64_t counts[2]) {
    for (int i = 0; i < WEIGHT_LANES; i++) counts[i / chunk_columns % 2] += nonzeros[i];
}

static void round_weights(
    const float *weights, int64_t count, int64_t group_columns, enum flash_coding coding, const uint16_t *scales,
    int16_t *integers, int64_t counts[2]) {
    const float low = coding_low(coding), high = coding_high(coding);
    const int64_t chunk_columns = quantized_chunk_columns(coding);
    integer_lanes nonzeros = {0};
    int64_t next_sum = 1 << 18;  // a lane has counted 2^14 by then, half of what it holds
    for (int64_t first = 0; first < count; first += group_columns) {
        const int64_t end = count - first < group_columns ? count : first + group_columns;
        const float scale = float_from_bits((uint32_t)*scales << 16);
        scales += FLASH_QUANTIZED_ROWS;
        for (int64_t i = first; i < end; i += WEIGHT_LANES) {
            weight_lanes q = {0};
            // Clamped before it is rounded, which holds for small numbers only.
            if (scale != 0) q = weights_round(weights_clamp(weights_load(weights + i) / scale, low, high));
            const integer_lanes rounded = __builtin_convertvector(q, integer_lanes);
            *(integer_lanes *)(integers + i) = rounded;
            nonzeros -= rounded != 0;
            if (i >= next_sum) {
                add_counts(nonzeros, chunk_columns, counts);
                nonzeros = (integer_lanes){0};
                next_sum += 1 << 18;
            }
        }
    }
    add_counts(nonzeros, chunk_columns, counts);
}

#pragma clang diagnostic pop
