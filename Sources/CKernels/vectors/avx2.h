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
static inline vec vec_load_i8(const int8_t *p) {
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)p)));
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

// For each mask of eight bytes the shuffle that moves packed bytes to their places, taken from the lower or the upper
// half of a register; 0x80 makes a zero.
#define BYTE_SHUFFLE_1(m, i, o) ((m) >> (i) & 1 ? __builtin_popcount((m) & ((1 << (i)) - 1)) + (o) : 0x80)
#define BYTE_SHUFFLE(m, o)                                                                                           \
    {                                                                                                                \
        BYTE_SHUFFLE_1(m, 0, o), BYTE_SHUFFLE_1(m, 1, o), BYTE_SHUFFLE_1(m, 2, o), BYTE_SHUFFLE_1(m, 3, o),          \
            BYTE_SHUFFLE_1(m, 4, o), BYTE_SHUFFLE_1(m, 5, o), BYTE_SHUFFLE_1(m, 6, o), BYTE_SHUFFLE_1(m, 7, o),      \
    }
#define BYTE_SHUFFLES_4(m, o)                                                                                        \
    BYTE_SHUFFLE(m, o), BYTE_SHUFFLE((m) + 1, o), BYTE_SHUFFLE((m) + 2, o), BYTE_SHUFFLE((m) + 3, o)
#define BYTE_SHUFFLES_16(m, o)                                                                                       \
    BYTE_SHUFFLES_4(m, o), BYTE_SHUFFLES_4((m) + 4, o), BYTE_SHUFFLES_4((m) + 8, o), BYTE_SHUFFLES_4((m) + 12, o)
#define BYTE_SHUFFLES_64(m, o)                                                                                       \
    BYTE_SHUFFLES_16(m, o), BYTE_SHUFFLES_16((m) + 16, o), BYTE_SHUFFLES_16((m) + 32, o), BYTE_SHUFFLES_16((m) + 48, o)
#define BYTE_SHUFFLES(o)                                                                                             \
    {BYTE_SHUFFLES_64(0, o), BYTE_SHUFFLES_64(64, o), BYTE_SHUFFLES_64(128, o), BYTE_SHUFFLES_64(192, o)}
static const uint8_t byte_shuffles[2][256][8] = {BYTE_SHUFFLES(0), BYTE_SHUFFLES(8)};

// 16 bytes: two halves of eight, each from where its values begin.
static inline __m128i expand_16_bytes(uint32_t mask, const uint8_t *values) {
    const uint32_t low = mask & 0xFF, high = mask >> 8 & 0xFF;
    __m128i packed = _mm_loadl_epi64((const __m128i *)values);
    packed = _mm_castps_si128(
        _mm_loadh_pi(_mm_castsi128_ps(packed), (const __m64 *)(values + __builtin_popcount(low))));
    __m128i shuffle = _mm_loadl_epi64((const __m128i *)byte_shuffles[0][low]);
    shuffle = _mm_castps_si128(_mm_loadh_pi(_mm_castsi128_ps(shuffle), (const __m64 *)byte_shuffles[1][high]));
    return _mm_shuffle_epi8(packed, shuffle);
}
// A chunk of 64 bytes or 32 words, zeros where the mask has none. Reads up to 16 bytes beyond those the mask names.
static inline void ivec_expand_bytes(uint64_t mask, const uint8_t *values, ivec out[2]) {
    for (int part = 0; part < 2; part++) {
        const uint32_t bits = (uint32_t)(mask >> (32 * part));
        const __m128i low = expand_16_bytes(bits, values);
        const __m128i high = expand_16_bytes(bits >> 16, values + __builtin_popcount(bits & 0xFFFF));
        out[part] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        values += __builtin_popcount(bits);
    }
}
static inline __m128i expand_8_words(uint32_t eight, const uint8_t *values) {
    return _mm_shuffle_epi8(
        _mm_loadu_si128((const __m128i *)values), _mm_loadu_si128((const __m128i *)expand_shuffles[eight]));
}
static inline void ivec_expand_words(uint32_t mask, const uint8_t *values, ivec out[2]) {
    for (int part = 0; part < 2; part++) {
        const uint32_t bits = mask >> (16 * part) & 0xFFFF;
        const __m128i low = expand_8_words(bits & 0xFF, values);
        const __m128i high = expand_8_words(bits >> 8, values + 2 * __builtin_popcount(bits & 0xFF));
        out[part] = _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
        values += 2 * __builtin_popcount(bits);
    }
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

// Register blocking for 16 registers: 4 rows x 2 tokens = 8 accumulators, 2 inputs, 1 weight.
#define DOT_TOKENS 2
// Panel products: half a panel (2 vectors) x 6 tokens = 12 accumulators.
#define PANEL_VECTORS 2
#define PANEL_TOKENS 6
#define DIRECT_TOKENS 2
// Zero skipping: four vectors of tokens for each of two sets of sums.
#define SKIP_TOKENS (4 * LANES)
