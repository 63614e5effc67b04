// The vector layer on NEON (AArch64): 4 float32 lanes, 32 registers. With NEON_DOT_PRODUCT defined it uses the dot
// product instruction (FEAT_DotProd). Constants are derived, not measured: no processor was at hand.
#include <arm_neon.h>

#include "byte_shuffles.h"

#define LANES 4
typedef float32x4_t vec;

static inline vec vec_zero(void) { return vdupq_n_f32(0); }
static inline vec vec_broadcast(float value) { return vdupq_n_f32(value); }
static inline vec vec_add(vec a, vec b) { return vaddq_f32(a, b); }
static inline vec vec_sub(vec a, vec b) { return vsubq_f32(a, b); }
static inline vec vec_mul(vec a, vec b) { return vmulq_f32(a, b); }
static inline vec vec_div(vec a, vec b) { return vdivq_f32(a, b); }
static inline vec vec_sqrt(vec a) { return vsqrtq_f32(a); }
static inline vec vec_fma(vec a, vec b, vec c) { return vfmaq_f32(c, a, b); }
// Where either operand is NaN the result is the second operand; fmax and fmaxnm decide otherwise.
static inline vec vec_max(vec a, vec b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
static inline vec vec_min(vec a, vec b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
static inline vec vec_round(vec a) { return vrndnq_f32(a); }
// a * 2^exponent, exponent integral and within -126...127
static inline vec vec_scale(vec a, vec exponent) {
    const int32x4_t power = vshlq_n_s32(vaddq_s32(vcvtq_s32_f32(exponent), vdupq_n_s32(127)), 23);
    return vmulq_f32(a, vreinterpretq_f32_s32(power));
}
// Lanes where a < b from x, the others (NaN included) from y.
static inline vec vec_select_less(vec a, vec b, vec x, vec y) { return vbslq_f32(vcltq_f32(a, b), x, y); }
static inline float vec_sum(vec a) { return vaddvq_f32(a); }
static inline float vec_max_lane(vec a) { return vmaxnmvq_f32(a); }

static inline vec vec_load(const float *p) { return vld1q_f32(p); }
static inline void vec_store(float *p, vec a) { vst1q_f32(p, a); }
static inline vec vec_load_part(const float *p, int64_t count) {
    if (count >= LANES) return vec_load(p);
    float lanes[LANES] = {0};
    for (int64_t i = 0; i < count; i++) lanes[i] = p[i];
    return vec_load(lanes);
}
static inline void vec_store_part(float *p, vec a, int64_t count) {
    float lanes[LANES];
    vec_store(lanes, a);
    for (int64_t i = 0; i < count; i++) p[i] = lanes[i];
}

static inline vec vec_from_16(uint16x4_t bits, const enum flash_element element) {
    if (element == FLASH_F16) return vcvt_f32_f16(vreinterpret_f16_u16(bits));
    return vreinterpretq_f32_u32(vshll_n_u16(bits, 16));
}
static inline vec vec_load_element(const void *base, int64_t index, enum flash_element element) {
    if (element == FLASH_F32) return vec_load((const float *)base + index);
    return vec_from_16(vld1_u16((const uint16_t *)base + index), element);
}
static inline vec vec_load_element_part(const void *base, int64_t index, enum flash_element element, int64_t count) {
    if (element == FLASH_F32) return vec_load_part((const float *)base + index, count);
    uint16_t bits[LANES] = {0};
    for (int64_t i = 0; i < count; i++) bits[i] = ((const uint16_t *)base)[index + i];
    return vec_from_16(vld1_u16(bits), element);
}
static inline void vec_store_f16(uint16_t *p, vec a) { vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(a))); }

// The sums of four vectors, into p[0..<4].
static inline void vec_store_sums4(float *p, vec a, vec b, vec c, vec d) {
    vec_store(p, vpaddq_f32(vpaddq_f32(a, b), vpaddq_f32(c, d)));
}

// Rows and columns of a 4 x 4 tile change places.
static inline void vec_transpose(vec tile[4]) {
    const float64x2_t ab_even = vreinterpretq_f64_f32(vtrn1q_f32(tile[0], tile[1]));
    const float64x2_t ab_odd = vreinterpretq_f64_f32(vtrn2q_f32(tile[0], tile[1]));
    const float64x2_t cd_even = vreinterpretq_f64_f32(vtrn1q_f32(tile[2], tile[3]));
    const float64x2_t cd_odd = vreinterpretq_f64_f32(vtrn2q_f32(tile[2], tile[3]));
    tile[0] = vreinterpretq_f32_f64(vtrn1q_f64(ab_even, cd_even));
    tile[1] = vreinterpretq_f32_f64(vtrn1q_f64(ab_odd, cd_odd));
    tile[2] = vreinterpretq_f32_f64(vtrn2q_f64(ab_even, cd_even));
    tile[3] = vreinterpretq_f32_f64(vtrn2q_f64(ab_odd, cd_odd));
}

// Byte i: the set bits of the mask's bytes up to and with byte i. In general registers: NEON counts bits only in its
// own, and the way there and back takes longer than all of this.
static inline uint64_t bits_through_bytes(uint64_t mask) {
    uint64_t counts = mask - (mask >> 1 & 0x5555555555555555u);
    counts = (counts & 0x3333333333333333u) + (counts >> 2 & 0x3333333333333333u);
    counts = (counts + (counts >> 4)) & 0x0F0F0F0F0F0F0F0Fu;
    return counts * 0x0101010101010101u;
}

// Eight 16-bit values, zeros where the mask has none. Reads 16 bytes.
static inline uint16x8_t expand_8_words(uint32_t eight, const void *values) {
    return vreinterpretq_u16_u8(vqtbl1q_u8(vld1q_u8(values), vld1q_u8(word_shuffles[eight])));
}
// One column of a bitmap panel: 32 rows as eight vectors; returns where the next column's values lie. Reads up to 8
// values beyond those the mask names.
static inline const uint16_t *vec_expand(
    const uint32_t *masks, const uint16_t *values, enum flash_element element, vec out[8]) {
    const uint32_t mask = *masks;
    const uint64_t through = bits_through_bytes(mask), before = through << 8;
    for (int part = 0; part < 4; part++) {
        const uint16x8_t rows = expand_8_words(mask >> 8 * part & 0xFF, values + (before >> 8 * part & 0xFF));
        out[2 * part] = vec_from_16(vget_low_u16(rows), element);
        out[2 * part + 1] = vec_from_16(vget_high_u16(rows), element);
    }
    return values + (through >> 56);
}

// `target[i] = words[numbers[i]]` for eight words.
#define HAS_SHUFFLE_8_WORDS
static inline void shuffle_8_words(const uint8_t numbers[8], const uint16_t *words, uint16_t *target) {
    // The bytes of word n are 2n and 2n + 1.
    const uint16x8_t bytes = vaddq_u16(vmulq_n_u16(vmovl_u8(vld1_u8(numbers)), 0x0202), vdupq_n_u16(0x0100));
    const uint8x16_t packed = vqtbl1q_u8(vreinterpretq_u8_u16(vld1q_u16(words)), vreinterpretq_u8_u16(bytes));
    vst1q_u16(target, vreinterpretq_u16_u8(packed));
}

// Four and eight 16-bit values, whatever LANES is.
#define HAS_WIDEN_PARTS
static inline float32x4_t widen_4(const uint16_t *p, enum flash_element element) {
    return vec_load_element(p, 0, element);
}
#define widen_8(p, element)                                                                                          \
    __builtin_shufflevector(                                                                                         \
        (floats4)widen_4(p, element), (floats4)widen_4((p) + 4, element), 0, 1, 2, 3, 4, 5, 6, 7)
#define KEEP_VECTOR(a) __asm__("" : "+w"(a))

// ---- Integers: 4 lanes of int32, 4 int8 or 2 int16 each ----

typedef int32x4_t ivec;

static inline ivec ivec_zero(void) { return vdupq_n_s32(0); }
static inline ivec ivec_broadcast(int32_t value) { return vdupq_n_s32(value); }
static inline ivec ivec_add(ivec a, ivec b) { return vaddq_s32(a, b); }
static inline ivec ivec_load(const uint8_t *p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
static inline void ivec_store(uint8_t *p, ivec a) { vst1q_u8(p, vreinterpretq_u8_s32(a)); }
// The same four bytes in every lane.
static inline ivec ivec_load_broadcast(const uint8_t *p) {
    int32_t bits;
    __builtin_memcpy(&bits, p, sizeof bits);
    return vdupq_n_s32(bits);
}
// 2 * LANES bytes as 16-bit words.
static inline ivec ivec_words_from_i8(const int8_t *p) { return vreinterpretq_s32_s16(vmovl_s8(vld1_s8(p))); }
static inline vec vec_from_ivec(ivec a) { return vcvtq_f32_s32(a); }
// Integral values within the type's range.
static inline void vec_store_i16(int16_t *p, vec a) { vst1_s16(p, vmovn_s32(vcvtq_s32_f32(a))); }
static inline void vec_store_i8(int8_t *p, vec a) {
    const int16x4_t words = vmovn_s32(vcvtq_s32_f32(a));
    const int8x8_t bytes = vmovn_s16(vcombine_s16(words, words));
    const uint32_t bits = vget_lane_u32(vreinterpret_u32_s8(bytes), 0);
    __builtin_memcpy(p, &bits, sizeof bits);
}

// A chunk of 64 bytes, zeros where the mask at `masks` has none; returns where the next values lie. Reads up to 16
// bytes beyond those the mask names.
static inline const uint8_t *ivec_expand_bytes(const uint8_t *masks, const uint8_t *values, ivec out[4]) {
    uint64_t mask;
    __builtin_memcpy(&mask, masks, sizeof mask);
    const uint64_t through = bits_through_bytes(mask), before = through << 8;
    for (int part = 0; part < 4; part++) {
        const int first = 16 * part;
        const uint8x16_t packed = vcombine_u8(
            vld1_u8(values + (before >> first & 0xFF)), vld1_u8(values + (before >> (first + 8) & 0xFF)));
        const uint8x16_t shuffle = vcombine_u8(
            vld1_u8(byte_shuffles[0][mask >> first & 0xFF]), vld1_u8(byte_shuffles[8][mask >> (first + 8) & 0xFF]));
        out[part] = vreinterpretq_s32_u8(vqtbl1q_u8(packed, shuffle));
    }
    return values + (through >> 56);
}
// A chunk of 32 words.
static inline const uint8_t *ivec_expand_words(const uint8_t *masks, const uint8_t *values, ivec out[4]) {
    uint32_t mask;
    __builtin_memcpy(&mask, masks, sizeof mask);
    const uint64_t through = bits_through_bytes(mask), before = through << 8;
    for (int part = 0; part < 4; part++)
        out[part] = vreinterpretq_s32_u16(
            expand_8_words(mask >> 8 * part & 0xFF, values + 2 * (before >> 8 * part & 0xFF)));
    return values + 2 * (through >> 56);
}
// 16 times the value of each byte's low or high nibble.
static inline ivec ivec_low_nibbles(ivec a) {
    return vreinterpretq_s32_u8(vshlq_n_u8(vreinterpretq_u8_s32(a), 4));
}
static inline ivec ivec_high_nibbles(ivec a) {
    return vreinterpretq_s32_u8(vandq_u8(vreinterpretq_u8_s32(a), vdupq_n_u8(0xF0)));
}

#define OPERAND_I8_OFFSET 0
static inline ivec ivec_operand_i8(ivec a) { return a; }
static inline ivec dot_i8(ivec sum, ivec weights, ivec activations) {
    const int8x16_t w = vreinterpretq_s8_s32(weights), x = vreinterpretq_s8_s32(activations);
#ifdef NEON_DOT_PRODUCT
    return vdotq_s32(sum, w, x);
#else
    // A pair of products stays within 2 * 128 * 127 = 32512.
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x)), high = vmull_high_s8(w, x);
    return vpadalq_s16(sum, vpaddq_s16(low, high));
#endif
}
static inline ivec dot_i16(ivec sum, ivec weights, ivec activations) {
    const int16x8_t w = vreinterpretq_s16_s32(weights), x = vreinterpretq_s16_s32(activations);
    const int32x4_t low = vmull_s16(vget_low_s16(w), vget_low_s16(x)), high = vmull_high_s16(w, x);
    return vaddq_s32(sum, vpaddq_s32(low, high));
}

// Register blocking for 32 registers. A multiply-add takes 4 cycles and up to 4 start in one: 16 sums at least.
// Products along rows: 4 rows x 6 tokens = 24 sums, 4 weights, 1 input.
#define DOT_TOKENS 6
#define DOT_STREAMS 6
#define DOT_ROWS 4
#define DOT_GROUP_TOKENS 6
// Of 38 instructions for 24 multiply-adds 4 are conversions.
#define DOT_WIDENS 0
// Panel products: half a panel (4 vectors) x 6 tokens = 24 sums, 4 weights, 1 broadcast: 10 loads for 24 multiply-adds,
// where 2 vectors x 12 tokens would take 14.
#define PANEL_VECTORS 4
#define PANEL_TOKENS 6
// A whole panel is 8 vectors: 2 tokens = 16 sums, 8 weights, 1 broadcast; a third token would take 33 registers.
#define DIRECT_TOKENS 2
// Quantised products: 1 panel (4 vectors) x 6 tokens = 24 sums, 4 weights, 1 broadcast, up to 2 for the products.
#define QUANTIZED_PANELS 1
#define QUANTIZED_TOKENS 6
// 4 vectors x 4 tokens = 16 integer sums; the 16 totals, used once in a group of columns, may live in memory.
#define QUANTIZED_DIRECT_TOKENS 4
// Four parts of a panel: as many independent sums for one token as its instructions take cycles.
#define QUANTIZED_TWO_SUMS_TOKENS 1
// Attention: 6 queries x a block's 4 vectors = 24 sums, 4 keys, 1 query.
#define ATTENTION_SUMS 24
#define QUERY_BLOCK 6
// Zero skipping: eight vectors of tokens for each of two sets of sums = 16, as many tokens as on AVX2.
#define SKIP_TOKENS (8 * LANES)
