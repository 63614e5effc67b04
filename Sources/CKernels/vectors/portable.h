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
#if defined(__aarch64__)
static inline vec vec_fma(vec a, vec b, vec c) { return __builtin_elementwise_fma(a, b, c); }
#else
// Without hardware FMA the exact one is a library call per lane; two roundings are what this path gives.
static inline vec vec_fma(vec a, vec b, vec c) { return a * b + c; }
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

// One column of a bitmap panel: 32 rows as eight vectors.
static inline void vec_expand(uint32_t mask, const uint16_t *values, enum flash_element element, vec out[8]) {
    for (int row = 0; row < 32; row++) {
        int isStored = mask >> row & 1;
        out[row / LANES][row % LANES] = isStored ? flash_widen_one(*values, element) : 0;
        values += isStored;
    }
}

#define DOT_TOKENS 2
#define PANEL_VECTORS 2
#define PANEL_TOKENS 4
#define DIRECT_TOKENS 1
