// The vector layer on AVX2 with FMA and F16C: 8 float32 lanes.
#include <immintrin.h>

#define LANES 8
typedef __m256 vec;

static inline __m256i vec_part(int64_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

static inline vec vec_zero(void) { return _mm256_setzero_ps(); }
static inline vec vec_broadcast(float value) { return _mm256_set1_ps(value); }
static inline vec vec_add(vec a, vec b) { return _mm256_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm256_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm256_mul_ps(a, b); }
static inline vec vec_div(vec a, vec b) { return _mm256_div_ps(a, b); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
// Where either operand is NaN the result is the second operand.
static inline vec vec_max(vec a, vec b) { return _mm256_max_ps(a, b); }
static inline vec vec_min(vec a, vec b) { return _mm256_min_ps(a, b); }
static inline vec vec_round(vec a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// a * 2^exponent, exponent integral and within -126...127
static inline vec vec_scale(vec a, vec exponent) {
    __m256i power = _mm256_slli_epi32(_mm256_add_epi32(_mm256_cvtps_epi32(exponent), _mm256_set1_epi32(127)), 23);
    return _mm256_mul_ps(a, _mm256_castsi256_ps(power));
}
// Lanes where a < b from x, the others (NaN included) from y.
static inline vec vec_select_less(vec a, vec b, vec x, vec y) {
    return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_LT_OQ));
}
static inline float vec_sum(vec a) {
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}
static inline float vec_max_lane(vec a) {
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_movehdup_ps(half)));
}

static inline vec vec_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void vec_store(float *p, vec a) { _mm256_storeu_ps(p, a); }
static inline vec vec_load_part(const float *p, int64_t count) { return _mm256_maskload_ps(p, vec_part(count)); }
static inline void vec_store_part(float *p, vec a, int64_t count) { _mm256_maskstore_ps(p, vec_part(count), a); }

static inline vec vec_from_16(__m128i bits, enum flash_element element) {
    if (element == FLASH_F16) return _mm256_cvtph_ps(bits);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
static inline vec vec_load_element(const void *base, int64_t index, enum flash_element element) {
    if (element == FLASH_F32) return vec_load((const float *)base + index);
    return vec_from_16(_mm_loadu_si128((const __m128i *)((const uint16_t *)base + index)), element);
}
static inline vec vec_load_element_part(const void *base, int64_t index, enum flash_element element, int64_t count) {
    if (element == FLASH_F32) return vec_load_part((const float *)base + index, count);
    uint16_t bits[8] = {0};
    for (int64_t i = 0; i < count; i++) bits[i] = ((const uint16_t *)base)[index + i];
    return vec_from_16(_mm_loadu_si128((const __m128i *)bits), element);
}
static inline void vec_store_f16(uint16_t *p, vec a) {
    _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

// The sums of four vectors, into p[0..<4].
static inline void vec_store_sums4(float *p, vec a, vec b, vec c, vec d) {
    __m256 abcd = _mm256_hadd_ps(_mm256_hadd_ps(a, b), _mm256_hadd_ps(c, d));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(abcd), _mm256_extractf128_ps(abcd, 1)));
}

// For each mask of eight rows the byte shuffle that moves its packed 16-bit values to their rows; 0x80 makes a zero.
#define SHUFFLE_BYTE(m, r, b) ((m) >> (r) & 1 ? 2 * __builtin_popcount((m) & ((1 << (r)) - 1)) + (b) : 0x80)
#define SHUFFLE_ROW(m, r) SHUFFLE_BYTE(m, r, 0), SHUFFLE_BYTE(m, r, 1)
#define SHUFFLE(m)                                                                                                   \
    {                                                                                                                \
        SHUFFLE_ROW(m, 0), SHUFFLE_ROW(m, 1), SHUFFLE_ROW(m, 2), SHUFFLE_ROW(m, 3), SHUFFLE_ROW(m, 4),               \
            SHUFFLE_ROW(m, 5), SHUFFLE_ROW(m, 6), SHUFFLE_ROW(m, 7),                                                 \
    }
#define SHUFFLES_4(m) SHUFFLE(m), SHUFFLE((m) + 1), SHUFFLE((m) + 2), SHUFFLE((m) + 3)
#define SHUFFLES_16(m) SHUFFLES_4(m), SHUFFLES_4((m) + 4), SHUFFLES_4((m) + 8), SHUFFLES_4((m) + 12)
#define SHUFFLES_64(m) SHUFFLES_16(m), SHUFFLES_16((m) + 16), SHUFFLES_16((m) + 32), SHUFFLES_16((m) + 48)
static const uint8_t expand_shuffles[256][16] = {SHUFFLES_64(0), SHUFFLES_64(64), SHUFFLES_64(128), SHUFFLES_64(192)};

// One column of a bitmap panel: 32 rows as four vectors. Reads up to 8 values beyond those the mask names.
static inline void vec_expand(uint32_t mask, const uint16_t *values, enum flash_element element, vec out[4]) {
    for (int part = 0; part < 4; part++) {
        uint32_t eight = mask >> (8 * part) & 0xFF;
        __m128i packed = _mm_loadu_si128((const __m128i *)values);
        __m128i rows = _mm_shuffle_epi8(packed, _mm_loadu_si128((const __m128i *)expand_shuffles[eight]));
        out[part] = vec_from_16(rows, element);
        values += __builtin_popcount(eight);
    }
}

// Register blocking for 16 registers: 4 rows x 2 tokens = 8 accumulators, 2 inputs, 1 weight.
#define DOT_TOKENS 2
// Panel products: half a panel (2 vectors) x 6 tokens = 12 accumulators.
#define PANEL_VECTORS 2
#define PANEL_TOKENS 6
#define DIRECT_TOKENS 2
