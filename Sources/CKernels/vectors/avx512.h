// The vector layer on AVX-512 (F, BW, DQ, VL, VBMI2): 16 float32 lanes.
//
// Tests compile this file over an emulation of the intrinsics, which brings what the processor needs beside them.
#ifndef EMULATED_INTRINSICS
#include <immintrin.h>

// AMD's processors make a gather of some eighty operations, twice the time of single loads.
static inline int gathers_fast(void) { return !__builtin_cpu_is("amd"); }
// They widen four vectors of f16 beside 24 multiply-adds for nothing; Intel's do it on the multipliers' ports.
static inline int widens_fast(void) { return __builtin_cpu_is("amd"); }
#define KEEP_VECTOR(a) __asm__("" : "+v"(a))
#endif
#define KEEP_SCALAR(a) __asm__("" : "+r"(a))

#define LANES 16
typedef __m512 vec;

static inline __mmask16 vec_part(int64_t count) { return (__mmask16)((1u << count) - 1); }

static inline vec vec_zero(void) { return _mm512_setzero_ps(); }
static inline vec vec_broadcast(float value) { return _mm512_set1_ps(value); }
static inline vec vec_add(vec a, vec b) { return _mm512_add_ps(a, b); }
static inline vec vec_sub(vec a, vec b) { return _mm512_sub_ps(a, b); }
static inline vec vec_mul(vec a, vec b) { return _mm512_mul_ps(a, b); }
static inline vec vec_div(vec a, vec b) { return _mm512_div_ps(a, b); }
static inline vec vec_sqrt(vec a) { return _mm512_sqrt_ps(a); }
static inline vec vec_fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
// Where either operand is NaN the result is the second operand.
static inline vec vec_max(vec a, vec b) { return _mm512_max_ps(a, b); }
static inline vec vec_min(vec a, vec b) { return _mm512_min_ps(a, b); }
static inline vec vec_round(vec a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
// a * 2^exponent, exponent integral and within -126...127
static inline vec vec_scale(vec a, vec exponent) { return _mm512_scalef_ps(a, exponent); }
// Lanes where a < b from x, the others (NaN included) from y.
static inline vec vec_select_less(vec a, vec b, vec x, vec y) {
    return _mm512_mask_blend_ps(_mm512_cmp_ps_mask(a, b, _CMP_LT_OQ), y, x);
}
static inline float vec_sum(vec a) { return _mm512_reduce_add_ps(a); }
// Not the reduction of the compiler's headers, which may assume that there is no NaN.
static inline float vec_max_lane(vec a) {
    a = _mm512_max_ps(a, _mm512_shuffle_f32x4(a, a, 0x4E));
    a = _mm512_max_ps(a, _mm512_shuffle_f32x4(a, a, 0xB1));
    a = _mm512_max_ps(a, _mm512_shuffle_ps(a, a, 0x4E));
    return _mm512_cvtss_f32(_mm512_max_ps(a, _mm512_shuffle_ps(a, a, 0xB1)));
}

static inline vec vec_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void vec_store(float *p, vec a) { _mm512_storeu_ps(p, a); }
static inline vec vec_load_part(const float *p, int64_t count) { return _mm512_maskz_loadu_ps(vec_part(count), p); }
static inline void vec_store_part(float *p, vec a, int64_t count) { _mm512_mask_storeu_ps(p, vec_part(count), a); }

static inline vec vec_from_16(__m256i bits, enum flash_element element) {
    if (element == FLASH_F16) return _mm512_cvtph_ps(bits);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}
static inline vec vec_load_element(const void *base, int64_t index, enum flash_element element) {
    if (element == FLASH_F32) return vec_load((const float *)base + index);
    return vec_from_16(_mm256_loadu_si256((const __m256i *)((const uint16_t *)base + index)), element);
}
static inline vec vec_load_element_part(const void *base, int64_t index, enum flash_element element, int64_t count) {
    if (element == FLASH_F32) return vec_load_part((const float *)base + index, count);
    return vec_from_16(_mm256_maskz_loadu_epi16(vec_part(count), (const uint16_t *)base + index), element);
}
static inline void vec_store_f16(uint16_t *p, vec a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

// The sums of four vectors, into p[0..<4].
static inline void vec_store_sums4(float *p, vec a, vec b, vec c, vec d) {
    __m512 ab = _mm512_add_ps(_mm512_unpacklo_ps(a, b), _mm512_unpackhi_ps(a, b));
    __m512 cd = _mm512_add_ps(_mm512_unpacklo_ps(c, d), _mm512_unpackhi_ps(c, d));
    __m512d low = _mm512_unpacklo_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    __m512d high = _mm512_unpackhi_pd(_mm512_castps_pd(ab), _mm512_castps_pd(cd));
    __m512 abcd = _mm512_add_ps(_mm512_castpd_ps(low), _mm512_castpd_ps(high));
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(abcd), _mm512_extractf32x8_ps(abcd, 1));
    _mm_storeu_ps(p, _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1)));
}

// Rows and columns of a 16 x 16 tile change places: within 128-bit parts as 4 x 4 tiles, then the parts.
static inline void vec_transpose(vec tile[16]) {
    __m512 pairs[16], fours[16];
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = _mm512_unpacklo_ps(tile[i], tile[i + 1]);
        pairs[i + 1] = _mm512_unpackhi_ps(tile[i], tile[i + 1]);
    }
    for (int i = 0; i < 16; i += 4) {
        fours[i] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
        fours[i + 1] = _mm512_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
        fours[i + 2] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
        fours[i + 3] = _mm512_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        // Parts 0 and 2, then 1 and 3, of rows 0-7 and of rows 8-15.
        const __m512 low = _mm512_shuffle_f32x4(fours[i], fours[i + 4], 0x88);
        const __m512 high = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], 0x88);
        const __m512 odd_low = _mm512_shuffle_f32x4(fours[i], fours[i + 4], 0xDD);
        const __m512 odd_high = _mm512_shuffle_f32x4(fours[i + 8], fours[i + 12], 0xDD);
        tile[i] = _mm512_shuffle_f32x4(low, high, 0x88);
        tile[i + 8] = _mm512_shuffle_f32x4(low, high, 0xDD);
        tile[i + 4] = _mm512_shuffle_f32x4(odd_low, odd_high, 0x88);
        tile[i + 12] = _mm512_shuffle_f32x4(odd_low, odd_high, 0xDD);
    }
}

// One column of a bitmap panel: 32 rows as two vectors; returns where the next column's values lie. Loads 32 values
// whatever the mask says.
static inline const uint16_t *vec_expand(
    const uint32_t *mask, const uint16_t *values, enum flash_element element, vec out[2]) {
    __m512i packed = _mm512_loadu_si512(values);
    // Keeps the load apart: with a memory operand the expansion is microcoded on Zen and takes twice the time.
    KEEP_VECTOR(packed);
    __m512i rows = _mm512_maskz_expand_epi16(*mask, packed);
    out[0] = vec_from_16(_mm512_castsi512_si256(rows), element);
    out[1] = vec_from_16(_mm512_extracti64x4_epi64(rows, 1), element);
    return values + __builtin_popcount(*mask);
}

// The same with even rows in out[0] and odd ones in out[1], f16 with EXPAND_F16_EXPONENT added to their exponents.
//
// In place of a conversion the 16 bits are moved to where float32 has sign, exponent and mantissa. Conversions compete
// with the expansion for the ports of shuffles: this takes 0.87 of their time on Zen 4, for bf16 0.68. Infinity and NaN
// would become numbers; no matrix holds them. Subnormal weights become subnormal float32, exactly.
#define HAS_EXPAND_EVEN_ODD
#define EXPAND_F16_EXPONENT (-112)
static inline const uint16_t *vec_expand_even_odd(
    const uint32_t *mask, const uint16_t *values, enum flash_element element, vec out[2]) {
    __m512i packed = _mm512_loadu_si512(values);
    KEEP_VECTOR(packed);
    // Read again for its bits to be counted: to bring it back from a mask register would cost more.
    const uint32_t *same_mask = mask;
    KEEP_SCALAR(same_mask);
    const __m512i rows = _mm512_maskz_expand_epi16(*mask, packed);
    if (element == FLASH_F16) {
        // Even rows by the multiplier, odd ones by a shift, which have ports of their own; either extends the sign.
        __m512i even_by_8192 = _mm512_set1_epi32(8192);
        KEEP_VECTOR(even_by_8192);
        const __m512i even = _mm512_madd_epi16(rows, even_by_8192), odd = _mm512_srai_epi32(rows, 3);
        out[0] = _mm512_castsi512_ps(_mm512_and_si512(even, _mm512_set1_epi32((int)0x8FFFE000)));
        out[1] = _mm512_castsi512_ps(_mm512_and_si512(odd, _mm512_set1_epi32((int)0x8FFFE000)));
    } else {
        out[0] = _mm512_castsi512_ps(_mm512_slli_epi32(rows, 16));
        out[1] = _mm512_castsi512_ps(_mm512_and_si512(rows, _mm512_set1_epi32((int)0xFFFF0000)));
    }
    return values + __builtin_popcount(*same_mask);
}
// Even and odd rows to the first 16 and the last 16.
static inline void vec_join_even_odd(vec rows[2]) {
    // Rows 0-3, 8-11, ... and 4-7, 12-15, ...; then their parts in order.
    const vec low = _mm512_unpacklo_ps(rows[0], rows[1]), high = _mm512_unpackhi_ps(rows[0], rows[1]);
    const vec first = _mm512_shuffle_f32x4(low, high, 0x44), last = _mm512_shuffle_f32x4(low, high, 0xEE);
    rows[0] = _mm512_shuffle_f32x4(first, first, 0xD8);
    rows[1] = _mm512_shuffle_f32x4(last, last, 0xD8);
}

// The words whose bits are set behind each other; returns where the next ones go. Writes 32: a compression that stores
// only what is set is microcoded on Zen 4.
#define HAS_COMPRESS_WORDS
static inline uint16_t *compress_words(uint32_t mask, const uint16_t *words, uint16_t *target) {
    _mm512_storeu_si512(target, _mm512_maskz_compress_epi16(mask, _mm512_loadu_si512(words)));
    return target + __builtin_popcount(mask);
}

// Four and eight 16-bit values, whatever LANES is.
#define HAS_WIDEN_PARTS
static inline __m128 widen_4(const uint16_t *p, enum flash_element element) {
    __m128i bits = _mm_loadl_epi64((const __m128i *)p);
    if (element == FLASH_F16) return _mm_cvtph_ps(bits);
    return _mm_castsi128_ps(_mm_slli_epi32(_mm_cvtepu16_epi32(bits), 16));
}
static inline __m256 widen_8(const uint16_t *p, enum flash_element element) {
    __m128i bits = _mm_loadu_si128((const __m128i *)p);
    if (element == FLASH_F16) return _mm256_cvtph_ps(bits);
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
// Sixteen columns move on by a byte each; the activations there.
#define HAS_GATHER_16
static inline __m512i ivec_add_bytes(__m512i a, const uint8_t *p) {
    return _mm512_add_epi32(a, _mm512_cvtepu8_epi32(_mm_loadu_si128((const __m128i *)p)));
}
static inline vec vec_gather(const float *base, __m512i columns) { return _mm512_i32gather_ps(columns, base, 4); }

// ---- Integers: 16 lanes of int32, 4 int8 or 2 int16 each ----

typedef __m512i ivec;

static inline ivec ivec_zero(void) { return _mm512_setzero_si512(); }
static inline ivec ivec_broadcast(int32_t value) { return _mm512_set1_epi32(value); }
static inline ivec ivec_add(ivec a, ivec b) { return _mm512_add_epi32(a, b); }
static inline ivec ivec_load(const uint8_t *p) { return _mm512_loadu_si512(p); }
static inline void ivec_store(uint8_t *p, ivec a) { _mm512_storeu_si512(p, a); }
// The same four bytes in every lane.
static inline ivec ivec_load_broadcast(const uint8_t *p) {
    int32_t bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    return _mm512_set1_epi32(bits);
}
// 2 * LANES bytes as 16-bit words.
static inline ivec ivec_words_from_i8(const int8_t *p) {
    return _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)p));
}
static inline vec vec_from_ivec(ivec a) { return _mm512_cvtepi32_ps(a); }
// Integral values within the type's range.
static inline void vec_store_i8(int8_t *p, vec a) {
    _mm_storeu_si128((__m128i *)p, _mm512_cvtepi32_epi8(_mm512_cvtps_epi32(a)));
}
static inline void vec_store_i16(int16_t *p, vec a) {
    _mm256_storeu_si256((__m256i *)p, _mm512_cvtepi32_epi16(_mm512_cvtps_epi32(a)));
}

// A chunk of 64 bytes, zeros where the mask at `masks` has none; returns where the next values lie. Loads 64 bytes
// whatever the mask says; the load is kept apart for the same reason as in vec_expand.
static inline const uint8_t *ivec_expand_bytes(const uint8_t *masks, const uint8_t *values, ivec out[1]) {
    uint64_t mask;
    __builtin_memcpy(&mask, masks, sizeof mask);
    __m512i packed = _mm512_loadu_si512(values);
    KEEP_VECTOR(packed);
    out[0] = _mm512_maskz_expand_epi8(mask, packed);
    return values + __builtin_popcountll(mask);
}
// A chunk of 32 words.
static inline const uint8_t *ivec_expand_words(const uint8_t *masks, const uint8_t *values, ivec out[1]) {
    uint32_t mask;
    __builtin_memcpy(&mask, masks, sizeof mask);
    __m512i packed = _mm512_loadu_si512(values);
    KEEP_VECTOR(packed);
    out[0] = _mm512_maskz_expand_epi16(mask, packed);
    return values + 2 * __builtin_popcount(mask);
}
// 16 times the value of each byte's low or high nibble.
static inline ivec ivec_low_nibbles(ivec a) {
    return _mm512_and_si512(_mm512_slli_epi16(a, 4), _mm512_set1_epi8((char)0xF0));
}
static inline ivec ivec_high_nibbles(ivec a) { return _mm512_and_si512(a, _mm512_set1_epi8((char)0xF0)); }

// vpdpbusd takes one operand unsigned: the weights, so that the activations can be a broadcast from memory and one
// correction serves all rows.
#define OPERAND_I8_OFFSET 128
static inline ivec ivec_operand_i8(ivec a) { return _mm512_xor_si512(a, _mm512_set1_epi8((char)0x80)); }
static inline ivec dot_i8(ivec sum, ivec weights, ivec activations) {
    return _mm512_dpbusd_epi32(sum, weights, activations);
}
static inline ivec dot_i16(ivec sum, ivec weights, ivec activations) {
    return _mm512_dpwssd_epi32(sum, weights, activations);
}

// Quantised products: 2 panels (2 vectors) x 12 tokens = 24 sums of 32 registers.
#define QUANTIZED_PANELS 2
#define QUANTIZED_TOKENS 12
// One vector of integer sums and one of totals per token.
#define QUANTIZED_DIRECT_TOKENS 8
// Dense weights are as good as decoded, and groups of 32 columns make scratch memory dear for int16 (Zen 4, 16 tokens:
// dense int8 1.2, int16 1.6 times as fast).
#define QUANTIZED_STAYS_DIRECT(coding, dense) ((dense) || (coding) == FLASH_I16)
// vpdpbusd takes five cycles, two of them more than the expansion of two chunks (six of port 5): with one sum 2 to 4
// tokens wait for it.
#define QUANTIZED_TWO_SUMS_TOKENS 4

// Register blocking. Products along rows: 4 rows x 6 tokens = 24 accumulators, 6 inputs, 1 weight of 32 registers.
#define DOT_TOKENS 6
#define DOT_STREAMS 6
#define DOT_ROWS 4
#define DOT_GROUP_TOKENS 6
#define DOT_WIDENS (!widens_fast())
// With 32 registers products along rows stay ahead (Zen 4: 0.84 against 0.78 Gweights/s at 64 tokens).
#define DENSE_PANEL_TOKENS INT64_MAX
// Panel products: all 32 rows (2 vectors) x 12 tokens = 24 accumulators.
#define PANEL_VECTORS 2
#define PANEL_TOKENS 12
// Up to this many tokens a panel is expanded straight into the products, without a trip through scratch memory.
#define DIRECT_TOKENS 8
// Zero skipping: four vectors of tokens for each of two sets of sums.
#define SKIP_TOKENS (4 * LANES)
