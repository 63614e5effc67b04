// The vector layer on the compiler's own vector types: any processor, 4 float32 lanes (SSE2, NEON).
#include <math.h>
#include <string.h>

#define LANES 4
typedef float vec __attribute__((vector_size(16)));
typedef int32_t vec_int __attribute__((vector_size(16)));

static inline vec vec_zero(void) { return (vec){0, 0, 0, 0}; }
static inline vec vec_broadcast(float value) { return (vec){value, value, value, value}; }
static inline vec vec_add(vec a, vec b) { return a + b; }
static inline vec vec_sub(vec a, vec b) { return a - b; }
static inline vec vec_mul(vec a, vec b) { return a * b; }
static inline vec vec_div(vec a, vec b) { return a / b; }
static inline vec vec_sqrt(vec a) { return (vec){sqrtf(a[0]), sqrtf(a[1]), sqrtf(a[2]), sqrtf(a[3])}; }
#if defined(__aarch64__)
static inline vec vec_fma(vec a, vec b, vec c) { return __builtin_elementwise_fma(a, b, c); }
#else
// Without hardware FMA the exact one is a library call per lane; two roundings are what this path gives.
static inline vec vec_fma(vec a, vec b, vec c) { return a * b + c; }
#define FUSED_MULTIPLY_ADD(a, b, c) ((a) * (b) + (c))
#endif
static inline vec vec_pick(vec_int mask, vec x, vec y) { return (vec)((mask & (vec_int)x) | (~mask & (vec_int)y)); }
// Where either operand is NaN the result is the second operand.
static inline vec vec_max(vec a, vec b) { return vec_pick((vec_int)(a > b), a, b); }
static inline vec vec_min(vec a, vec b) { return vec_pick((vec_int)(a < b), a, b); }
// Nearest integer for |a| < 2^22: adding and taking away 1.5 * 2^23 leaves no room for a fraction.
static inline vec vec_round(vec a) {
    vec magic = vec_broadcast(12582912.0f);
    return (a + magic) - magic;
}
// a * 2^exponent, exponent integral and within -126...127
static inline vec vec_scale(vec a, vec exponent) {
    vec_int power = (__builtin_convertvector(exponent, vec_int) + 127) << 23;
    return a * (vec)power;
}
// Lanes where a < b from x, the others (NaN included) from y.
static inline vec vec_select_less(vec a, vec b, vec x, vec y) { return vec_pick((vec_int)(a < b), x, y); }
static inline float vec_sum(vec a) { return (a[0] + a[2]) + (a[1] + a[3]); }
static inline float vec_max_lane(vec a) {
    float low = a[0] > a[1] ? a[0] : a[1], high = a[2] > a[3] ? a[2] : a[3];
    return low > high ? low : high;
}

static inline vec vec_load(const float *p) {
    vec a;
    memcpy(&a, p, sizeof a);
    return a;
}
static inline void vec_store(float *p, vec a) { memcpy(p, &a, sizeof a); }
static inline vec vec_load_part(const float *p, int64_t count) {
    vec a = vec_zero();
    memcpy(&a, p, (size_t)count * sizeof(float));
    return a;
}
static inline void vec_store_part(float *p, vec a, int64_t count) { memcpy(p, &a, (size_t)count * sizeof(float)); }

static inline vec vec_load_element_part(const void *base, int64_t index, enum flash_element element, int64_t count) {
    if (element == FLASH_F32) return vec_load_part((const float *)base + index, count);
    const uint16_t *bits = (const uint16_t *)base + index;
    vec a = vec_zero();
    for (int64_t i = 0; i < count; i++) a[i] = flash_widen_one(bits[i], element);
    return a;
}
static inline vec vec_load_element(const void *base, int64_t index, enum flash_element element) {
    return vec_load_element_part(base, index, element, LANES);
}
static inline void vec_store_f16(uint16_t *p, vec a) {
    for (int i = 0; i < LANES; i++) p[i] = flash_narrow_f16(a[i]);
}

// The sums of four vectors, into p[0..<4].
static inline void vec_store_sums4(float *p, vec a, vec b, vec c, vec d) {
    p[0] = vec_sum(a);
    p[1] = vec_sum(b);
    p[2] = vec_sum(c);
    p[3] = vec_sum(d);
}

// Rows and columns of a 4 x 4 tile change places.
static inline void vec_transpose(vec tile[4]) {
    vec result[4];
    for (int i = 0; i < 4; i++) result[i] = (vec){tile[0][i], tile[1][i], tile[2][i], tile[3][i]};
    for (int i = 0; i < 4; i++) tile[i] = result[i];
}

// One column of a bitmap panel: 32 rows as eight vectors.
static inline const uint16_t *vec_expand(
    const uint32_t *mask, const uint16_t *values, enum flash_element element, vec out[8]) {
    for (int row = 0; row < 32; row++) {
        int isStored = *mask >> row & 1;
        out[row / LANES][row % LANES] = isStored ? flash_widen_one(*values, element) : 0;
        values += isStored;
    }
    return values;
}

// ---- Integers: 4 lanes of int32, 4 int8 or 2 int16 each ----

typedef int32_t ivec __attribute__((vector_size(16)));
typedef int8_t ivec_bytes __attribute__((vector_size(16)));
typedef int16_t ivec_words __attribute__((vector_size(16)));

static inline ivec ivec_zero(void) { return (ivec){0, 0, 0, 0}; }
static inline ivec ivec_broadcast(int32_t value) { return (ivec){value, value, value, value}; }
static inline ivec ivec_add(ivec a, ivec b) { return a + b; }
static inline ivec ivec_load(const uint8_t *p) {
    ivec a;
    memcpy(&a, p, sizeof a);
    return a;
}
static inline void ivec_store(uint8_t *p, ivec a) { memcpy(p, &a, sizeof a); }
// The same four bytes in every lane.
static inline ivec ivec_load_broadcast(const uint8_t *p) {
    int32_t bits;
    memcpy(&bits, p, sizeof bits);
    return ivec_broadcast(bits);
}
// 2 * LANES bytes as 16-bit words.
static inline ivec ivec_words_from_i8(const int8_t *p) {
    ivec_words a;
    for (int i = 0; i < 2 * LANES; i++) a[i] = p[i];
    return (ivec)a;
}
static inline vec vec_from_ivec(ivec a) { return __builtin_convertvector(a, vec); }
// Integral values within the type's range.
static inline void vec_store_i8(int8_t *p, vec a) {
    for (int i = 0; i < LANES; i++) p[i] = (int8_t)a[i];
}
static inline void vec_store_i16(int16_t *p, vec a) {
    for (int i = 0; i < LANES; i++) p[i] = (int16_t)a[i];
}

// A chunk of 64 bytes, zeros where the mask at `masks` has none; returns where the next values lie.
static inline const uint8_t *ivec_expand_bytes(const uint8_t *masks, const uint8_t *values, ivec out[4]) {
    uint8_t bytes[64];
    for (int i = 0; i < 64; i++) {
        const int isStored = masks[i / 8] >> i % 8 & 1;
        bytes[i] = isStored ? *values : 0;
        values += isStored;
    }
    memcpy(out, bytes, sizeof bytes);
    return values;
}
// A chunk of 32 words.
static inline const uint8_t *ivec_expand_words(const uint8_t *masks, const uint8_t *values, ivec out[4]) {
    uint16_t words[32];
    for (int i = 0; i < 32; i++) {
        const int isStored = masks[i / 8] >> i % 8 & 1;
        words[i] = 0;
        if (isStored) memcpy(&words[i], values, 2);
        values += isStored ? 2 : 0;
    }
    memcpy(out, words, sizeof words);
    return values;
}
// 16 times the value of each byte's low or high nibble.
static inline ivec ivec_low_nibbles(ivec a) { return a << 4 & (int32_t)0xF0F0F0F0; }
static inline ivec ivec_high_nibbles(ivec a) { return a & (int32_t)0xF0F0F0F0; }

#define OPERAND_I8_OFFSET 0
static inline ivec ivec_operand_i8(ivec a) { return a; }
static inline ivec dot_i8(ivec sum, ivec weights, ivec activations) {
    const ivec_bytes w = (ivec_bytes)weights, x = (ivec_bytes)activations;
    for (int i = 0; i < 16; i++) sum[i / 4] += w[i] * x[i];
    return sum;
}
static inline ivec dot_i16(ivec sum, ivec weights, ivec activations) {
    const ivec_words w = (ivec_words)weights, x = (ivec_words)activations;
    for (int i = 0; i < 8; i++) sum[i / 2] += w[i] * x[i];
    return sum;
}

#define QUANTIZED_PANELS 1
#define QUANTIZED_TOKENS 2
#define QUANTIZED_DIRECT_TOKENS 1
#define QUANTIZED_TWO_SUMS_TOKENS 0

#define DOT_TOKENS 2
#define DOT_STREAMS 4
#define DOT_ROWS 2
#define DOT_GROUP_TOKENS 4
#define DOT_WIDENS 0
#define PANEL_VECTORS 2
#define PANEL_TOKENS 4
#define DIRECT_TOKENS 1
// Zero skipping: four vectors of tokens for each of two sets of sums.
#define SKIP_TOKENS (4 * LANES)
