// The vector layer on AVX2 with FMA and F16C: 8 float32 lanes.
#include <immintrin.h>

#include "byte_shuffles.h"

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
static inline vec vec_sqrt(vec a) { return _mm256_sqrt_ps(a); }
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

// Rows and columns of an 8 x 8 tile change places.
static inline void vec_transpose(vec tile[8]) {
    __m256 pairs[8], fours[8];
    for (int i = 0; i < 8; i += 2) {
        pairs[i] = _mm256_unpacklo_ps(tile[i], tile[i + 1]);
        pairs[i + 1] = _mm256_unpackhi_ps(tile[i], tile[i + 1]);
    }
    for (int i = 0; i < 8; i += 4) {
        fours[i] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0x44);
        fours[i + 1] = _mm256_shuffle_ps(pairs[i], pairs[i + 2], 0xEE);
        fours[i + 2] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0x44);
        fours[i + 3] = _mm256_shuffle_ps(pairs[i + 1], pairs[i + 3], 0xEE);
    }
    for (int i = 0; i < 4; i++) {
        tile[i] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20);
        tile[i + 4] = _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31);
    }
}

// Eight words to their places.
static inline __m128i expand_8_words(uint32_t eight, const void *values) {
    return _mm_shuffle_epi8(
        _mm_loadu_si128((const __m128i *)values), _mm_loadu_si128((const __m128i *)word_shuffles[eight]));
}

// One column of a bitmap panel: 32 rows as four vectors; returns where the next column's values lie. Reads up to 8
// values beyond those the mask names.
static inline const uint16_t *vec_expand(
    const uint32_t *mask, const uint16_t *values, enum flash_element element, vec out[4]) {
    const uint16_t *next = values;
    for (int part = 0; part < 4; part++) {
        const uint32_t eight = *mask >> (8 * part) & 0xFF;
        out[part] = vec_from_16(expand_8_words(eight, next), element);
        next += __builtin_popcount(eight);
    }
    return values + __builtin_popcount(*mask);
}

// `target[i] = words[numbers[i]]` for eight words.
#define HAS_SHUFFLE_8_WORDS
static inline void shuffle_8_words(const uint8_t numbers[8], const uint16_t *words, uint16_t *target) {
    // The bytes of word n are 2n and 2n + 1.
    const __m128i places = _mm_cvtepu8_epi16(_mm_loadl_epi64((const __m128i *)numbers));
    const __m128i bytes = _mm_add_epi16(_mm_mullo_epi16(places, _mm_set1_epi16(0x0202)), _mm_set1_epi16(0x0100));
    _mm_storeu_si128((__m128i *)target, _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)words), bytes));
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
#define KEEP_VECTOR(a) __asm__("" : "+x"(a))

// ---- Integers: 8 lanes of int32, 4 int8 or 2 int16 each ----

typedef __m256i ivec;

static inline ivec ivec_zero(void) { return _mm256_setzero_si256(); }
static inline ivec ivec_broadcast(int32_t value) { return _mm256_set1_epi32(value); }
static inline ivec ivec_add(ivec a, ivec b) { return _mm256_add_epi32(a, b); }
static inline ivec ivec_load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
static inline void ivec_store(uint8_t *p, ivec a) { _mm256_storeu_si256((__m256i *)p, a); }
// The same four bytes in every lane.
static inline ivec ivec_load_broadcast(const uint8_t *p) {
    int32_t bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    return _mm256_set1_epi32(bits);
}
// 2 * LANES bytes as 16-bit words.
static inline ivec ivec_words_from_i8(const int8_t *p) {
    return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}
static inline vec vec_from_ivec(ivec a) { return _mm256_cvtepi32_ps(a); }
// Integral values within the type's range.
static inline __m128i words_from_vec(vec a) {
    __m256i lanes = _mm256_cvtps_epi32(a);
    return _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
}
static inline void vec_store_i16(int16_t *p, vec a) { _mm_storeu_si128((__m128i *)p, words_from_vec(a)); }
static inline void vec_store_i8(int8_t *p, vec a) {
    __m128i words = words_from_vec(a);
    _mm_storel_epi64((__m128i *)p, _mm_packs_epi16(words, words));
}

// For each mask of eight bytes the shuffles of the eight bytes behind them, whose values follow those of the mask: one
// load instead of counting, scaling and adding. 20 KB of tables stay in the first-level cache; of the nine tables of
// shuffles a matrix of even sparsity uses three or four.
#define NEXT_SHUFFLES(m) byte_shuffles[__builtin_popcount(m)]
static const uint8_t (*const next_shuffles[256])[8] = {EACH_256(NEXT_SHUFFLES)};

// 32 bytes to their places, zeros where the mask at `masks` has none; returns where the next values lie.
//
// In assembly, since this is the inner loop of everything that is bound by expansion, and that by the number of
// instructions: clang takes the loads of upper halves apart, hoists pieces of several chunks and spills them, which
// makes it 36 instructions instead of 28, 7.1 cycles instead of 6.1 for 32 weights on Zen 3, product and all.
static inline const uint8_t *expand_32_bytes(const uint8_t *masks, const uint8_t *values, __m256i *out) {
    __m256i shuffle, upper, packed;
    uint64_t bits, low, high;
    __asm__ volatile(
        "movzwl %[mask], %k[bits]\n\t"
        "movzbl %b[bits], %k[low]\n\t"
        "movzbl %h[bits], %k[high]\n\t"
        "popcntl %k[bits], %k[bits]\n\t"
        "vmovq (%[shuffles],%[low],8), %x[shuffle]\n\t"
        "movq (%[next],%[low],8), %[low]\n\t"
        "vmovhps (%[low],%[high],8), %x[shuffle], %x[shuffle]\n\t"
        "vmovdqu (%[values]), %x[packed]\n\t"
        "addq %[bits], %[values]\n\t"
        "vinserti128 $1, (%[values]), %t[packed], %t[packed]\n\t"
        "movzwl %[upper_mask], %k[bits]\n\t"
        "movzbl %b[bits], %k[low]\n\t"
        "movzbl %h[bits], %k[high]\n\t"
        "popcntl %k[bits], %k[bits]\n\t"
        "vmovq (%[shuffles],%[low],8), %x[upper]\n\t"
        "movq (%[next],%[low],8), %[low]\n\t"
        "vmovhps (%[low],%[high],8), %x[upper], %x[upper]\n\t"
        "vinserti128 $1, %x[upper], %t[shuffle], %t[shuffle]\n\t"
        "vpshufb %t[shuffle], %t[packed], %t[packed]\n\t"
        "addq %[bits], %[values]"
        : [packed] "=&x"(packed), [shuffle] "=&x"(shuffle), [upper] "=&x"(upper), [bits] "=&Q"(bits), [low] "=&R"(low),
          [high] "=&R"(high), [values] "+r"(values)
        : [mask] "m"(*(const uint16_t *)masks), [upper_mask] "m"(*(const uint16_t *)(masks + 2)),
          [shuffles] "r"(byte_shuffles[0]), [next] "r"(next_shuffles)
        : "cc");
    *out = packed;
    return values;
}
// A chunk of 64 bytes, zeros where its mask has none; returns where the next values lie. Reads up to 16 bytes beyond
// those the mask names.
static inline const uint8_t *ivec_expand_bytes(const uint8_t *masks, const uint8_t *values, ivec out[2]) {
    values = expand_32_bytes(masks, values, &out[0]);
    return expand_32_bytes(masks + 4, values, &out[1]);
}
// A chunk of 32 words.
static inline const uint8_t *ivec_expand_words(const uint8_t *masks, const uint8_t *values, ivec out[2]) {
    uint32_t mask;
    __builtin_memcpy(&mask, masks, sizeof mask);
    for (int part = 0; part < 2; part++) {
        const uint32_t bits = mask >> (16 * part) & 0xFFFF;
        const __m128i low = expand_8_words(bits & 0xFF, values);
        const __m128i high = expand_8_words(bits >> 8, values + 2 * __builtin_popcount(bits & 0xFF));
        out[part] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        values += 2 * __builtin_popcount(bits);
    }
    return values;
}
// 16 times the value of each byte's low or high nibble.
static inline ivec ivec_low_nibbles(ivec a) {
    return _mm256_and_si256(_mm256_slli_epi16(a, 4), _mm256_set1_epi8((char)0xF0));
}
static inline ivec ivec_high_nibbles(ivec a) { return _mm256_and_si256(a, _mm256_set1_epi8((char)0xF0)); }

// vpmaddubsw takes one operand unsigned and saturates pairs at 16 bits: |w| times x with w's sign stays within
// 2 * 128 * 127 = 32512.
#define OPERAND_I8_OFFSET 0
static inline ivec ivec_operand_i8(ivec a) { return a; }
static inline ivec dot_i8(ivec sum, ivec weights, ivec activations) {
    const __m256i pairs =
        _mm256_maddubs_epi16(_mm256_abs_epi8(weights), _mm256_sign_epi8(activations, weights));
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
static inline ivec dot_i16(ivec sum, ivec weights, ivec activations) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(weights, activations));
}

// Quantised products: 1 panel (2 vectors) x 4 tokens = 8 sums, 2 weights, their magnitudes.
#define QUANTIZED_PANELS 1
#define QUANTIZED_TOKENS 4
#define QUANTIZED_DIRECT_TOKENS 4
// The last instruction of a multiply-add is an addition, which takes one cycle.
#define QUANTIZED_TWO_SUMS_TOKENS 0

// Register blocking for 16 registers. Products along rows: up to 2 tokens with 4 rows = 8 accumulators; more with 2
// rows x 6 tokens = 12 accumulators, 2 weights, 1 input.
#define DOT_TOKENS 2
#define DOT_STREAMS 6
#define DOT_ROWS 2
#define DOT_GROUP_TOKENS 6
// Of 22 instructions for 12 multiply-adds 4 are conversions: the multipliers stay the limit.
#define DOT_WIDENS 0
// Panel products: half a panel (2 vectors) x 6 tokens = 12 accumulators.
#define PANEL_VECTORS 2
#define PANEL_TOKENS 6
#define DIRECT_TOKENS 2
// Zero skipping: four vectors of tokens for each of two sets of sums.
#define SKIP_TOKENS (4 * LANES)
