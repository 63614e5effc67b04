// Arithmetic, comparison and reduction.
#ifndef FLASH_LLM_EMULATED_ARITHMETIC_H
#define FLASH_LLM_EMULATED_ARITHMETIC_H

#include "permutations.h"
#include "types.h"

INTRINSIC __m512 _mm512_add_ps(__m512 a, __m512 b) { return a + b; }
INTRINSIC __m256 _mm256_add_ps(__m256 a, __m256 b) { return a + b; }
INTRINSIC __m128 _mm_add_ps(__m128 a, __m128 b) { return a + b; }
INTRINSIC __m512 _mm512_sub_ps(__m512 a, __m512 b) { return a - b; }
INTRINSIC __m512 _mm512_mul_ps(__m512 a, __m512 b) { return a * b; }
INTRINSIC __m512 _mm512_div_ps(__m512 a, __m512 b) { return a / b; }
LONG_INTRINSIC __m512 _mm512_sqrt_ps(__m512 a) {
    for (int i = 0; i < 16; i++) a[i] = __builtin_sqrtf(a[i]);
    return a;
}

// a * b + c, rounded once. The product of two float32 is exact in double. What rounding the sum to double loses is
// found exactly (Knuth's two-sum); where something was lost the sum is moved to the neighbour on the truth's side whose
// last bit is 1 ("round to odd"), from which rounding to float32 cannot go wrong (Boldo, Melquiond,
// doi:10.1109/TC.2007.70819).
#define DEFINE_FUSED_MULTIPLY_ADD(FLOATS, DOUBLES, WORDS)                                                            \
    LONG_OVERLOADED FLOATS fused_multiply_add(FLOATS a, FLOATS b, FLOATS c) {                                        \
        const DOUBLES product = __builtin_convertvector(a, DOUBLES) * __builtin_convertvector(b, DOUBLES);           \
        const DOUBLES addend = __builtin_convertvector(c, DOUBLES), sum = product + addend, zero = {0};              \
        const DOUBLES part = sum - product, lost = (product - (sum - part)) + (addend - part);                       \
        const WORDS grows = (WORDS)(lost > zero), shrinks = (WORDS)(lost < zero), isNegative = (WORDS)(sum < zero);  \
        const WORDS isEven = ((WORDS)sum & 1) - 1;                                                                   \
        /* The bits of a magnitude grow with it; -1 is all ones. */                                                  \
        const WORDS away = (grows & ~isNegative) | (shrinks & isNegative);                                           \
        const WORDS towards = (shrinks & ~isNegative) | (grows & isNegative);                                        \
        const WORDS odd = (WORDS)sum - (away & isEven) + (towards & isEven);                                         \
        return __builtin_convertvector((DOUBLES)odd, FLOATS);                                                        \
    }
DEFINE_FUSED_MULTIPLY_ADD(__m128, lanes_f64x4, lanes_u64x4)
DEFINE_FUSED_MULTIPLY_ADD(__m256, lanes_f64x8, lanes_u64x8)
DEFINE_FUSED_MULTIPLY_ADD(__m512, lanes_f64x16, lanes_u64x16)

INTRINSIC __m512 _mm512_fmadd_ps(__m512 a, __m512 b, __m512 c) { return fused_multiply_add(a, b, c); }

// The second operand where either is NaN or both are zeros.
INTRINSIC __m512 _mm512_max_ps(__m512 a, __m512 b) {
    const lanes_i32x16 picks = a > b;
    return (__m512)((picks & (lanes_i32x16)a) | (~picks & (lanes_i32x16)b));
}
INTRINSIC __m512 _mm512_min_ps(__m512 a, __m512 b) {
    const lanes_i32x16 picks = a < b;
    return (__m512)((picks & (lanes_i32x16)a) | (~picks & (lanes_i32x16)b));
}

// Predicates other than "less, ordered" are not in use.
LONG_INTRINSIC __mmask16 _mm512_cmp_ps_mask(__m512 a, __m512 b, int predicate) {
    if (predicate != _CMP_LT_OQ) __builtin_trap();
    __mmask16 mask = 0;
    for (int i = 0; i < 16; i++) mask |= (__mmask16)((a[i] < b[i]) << i);
    return mask;
}
// b where the mask is set.
LONG_INTRINSIC __m512 _mm512_mask_blend_ps(__mmask16 mask, __m512 a, __m512 b) {
    for (int i = 0; i < 16; i++) a[i] = mask >> i & 1 ? b[i] : a[i];
    return a;
}

// Rounds to integers; other roundings and fraction bits are not in use. From 2^23 on every float32 is an integer;
// below, adding 2^23 to the magnitude leaves no room for a fraction.
LONG_INTRINSIC __m512 nearest_integers(__m512 a) {
    const lanes_u32x16 sign = (lanes_u32x16)a & 0x80000000u, magnitude = (lanes_u32x16)a & 0x7FFFFFFF;
    const lanes_u32x16 rounded = (lanes_u32x16)(((__m512)magnitude + 0x1p23f) - 0x1p23f) | sign;
    const lanes_u32x16 isSmall = (lanes_u32x16)((__m512)magnitude < 0x1p23f);
    return (__m512)((isSmall & rounded) | (~isSmall & (lanes_u32x16)a));
}
INTRINSIC __m512 _mm512_roundscale_ps(__m512 a, int immediate) {
    if (immediate != (_MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC)) __builtin_trap();
    return nearest_integers(a);
}

// a * 2^floor(b), rounded once.
LONG_INTRINSIC float scaled_by_power(float a, float b) {
    if (__builtin_isnan(b) && !__builtin_isnan(a)) return b;
    uint32_t bits;
    __builtin_memcpy(&bits, &a, sizeof bits);
    const int isSignaling = (bits & 0x400000) == 0;
    if (__builtin_isnan(a)) return __builtin_isinf(b) && !isSignaling ? (b > 0 ? __builtin_inff() : 0.0f) : a;
    if (__builtin_isinf(b)) {
        if (b > 0) return a == 0 ? __builtin_nanf("") : __builtin_copysignf(__builtin_inff(), a);
        return __builtin_isinf(a) ? __builtin_nanf("") : __builtin_copysignf(0.0f, a);
    }
    // Beyond 300 the result is zero or infinite whatever a is, a subnormal included.
    const float exponent = __builtin_floorf(b);
    return __builtin_ldexpf(a, (int)(exponent < -300 ? -300 : exponent > 300 ? 300 : exponent));
}
LONG_INTRINSIC __m512 _mm512_scalef_ps(__m512 a, __m512 b) {
    for (int i = 0; i < 16; i++) a[i] = scaled_by_power(a[i], b[i]);
    return a;
}

// Lanes 8 apart, 4 apart, 2 apart, neighbours.
INTRINSIC float _mm512_reduce_add_ps(__m512 a) {
    const __m256 eight = _mm512_castps512_ps256(a) + _mm512_extractf32x8_ps(a, 1);
    const __m128 four = _mm256_castps256_ps128(eight) + _mm256_extractf128_ps(eight, 1);
    return (four[0] + four[2]) + (four[1] + four[3]);
}

// ---- Integers ----

INTRINSIC __m512i _mm512_add_epi32(__m512i a, __m512i b) { return (__m512i)((lanes_u32x16)a + (lanes_u32x16)b); }
INTRINSIC __m512i _mm512_and_si512(__m512i a, __m512i b) { return a & b; }
INTRINSIC __m512i _mm512_xor_si512(__m512i a, __m512i b) { return a ^ b; }
// A shift by a lane's width or more gives zero.
INTRINSIC __m512i _mm512_slli_epi32(__m512i a, unsigned count) {
    return count < 32 ? (__m512i)((lanes_u32x16)a << count) : (__m512i){0};
}
INTRINSIC __m256i _mm256_slli_epi32(__m256i a, int count) {
    return (unsigned)count < 32 ? (__m256i)((lanes_u32x8)a << (unsigned)count) : (__m256i){0};
}
INTRINSIC __m128i _mm_slli_epi32(__m128i a, int count) {
    return (unsigned)count < 32 ? (__m128i)((lanes_u32x4)a << (unsigned)count) : (__m128i){0};
}
// A shift by a lane's width or more gives the sign.
INTRINSIC __m512i _mm512_srai_epi32(__m512i a, unsigned count) {
    return (__m512i)((lanes_i32x16)a >> (count < 31 ? (int)count : 31));
}
INTRINSIC __m512i _mm512_slli_epi16(__m512i a, unsigned count) {
    return count < 16 ? (__m512i)((lanes_u16x32)a << (uint16_t)count) : (__m512i){0};
}

// sum + the four products of a's bytes, unsigned, with b's, signed; the sum wraps around.
LONG_INTRINSIC __m512i _mm512_dpbusd_epi32(__m512i sum, __m512i a, __m512i b) {
    lanes_u32x16 total = (lanes_u32x16)sum;
    for (unsigned byte = 0; byte < 4; byte++) {
        const lanes_i32x16 x = (lanes_i32x16)((lanes_u32x16)a >> 8 * byte & 0xFF);
        const lanes_i32x16 y = (lanes_i32x16)((lanes_u32x16)b << (24 - 8 * byte)) >> 24;
        total += (lanes_u32x16)(x * y);
    }
    return (__m512i)total;
}
// The sum of the two products of signed words; it wraps around.
LONG_INTRINSIC __m512i _mm512_madd_epi16(__m512i a, __m512i b) {
    const lanes_i32x16 x = (lanes_i32x16)a, y = (lanes_i32x16)b;
    const lanes_i32x16 low = ((lanes_i32x16)((lanes_u32x16)x << 16) >> 16) *
                             ((lanes_i32x16)((lanes_u32x16)y << 16) >> 16);
    const lanes_i32x16 high = (x >> 16) * (y >> 16);
    return (__m512i)((lanes_u32x16)low + (lanes_u32x16)high);
}
// The same added to a sum, which wraps around, too.
INTRINSIC __m512i _mm512_dpwssd_epi32(__m512i sum, __m512i a, __m512i b) {
    return _mm512_add_epi32(sum, _mm512_madd_epi16(a, b));
}

// ---- Pairs of bf16 ----

// Subnormal numbers become zeros.
INTRINSIC __m512 without_subnormals(lanes_u32x16 bits) {
    const lanes_u32x16 isNormal = (lanes_u32x16)((bits & 0x7F800000) != 0);
    return (__m512)(bits & (isNormal | 0x80000000));
}
// sum + the product of the odd elements, rounded, then + that of the even ones. Subnormal operands and results count as
// zeros.
LONG_INTRINSIC __m512 _mm512_dpbf16_ps(__m512 sum, __m512bh a, __m512bh b) {
    const lanes_u32x16 x = (lanes_u32x16)a, y = (lanes_u32x16)b, upper = (lanes_u32x16){0} + 0xFFFF0000;
    sum = _mm512_fmadd_ps(
        without_subnormals(x & upper), without_subnormals(y & upper), without_subnormals((lanes_u32x16)sum));
    sum = _mm512_fmadd_ps(
        without_subnormals(x << 16), without_subnormals(y << 16), without_subnormals((lanes_u32x16)sum));
    return without_subnormals((lanes_u32x16)sum);
}

#endif
