// Conversions between element types.
#ifndef FLASH_LLM_EMULATED_CONVERSIONS_H
#define FLASH_LLM_EMULATED_CONVERSIONS_H

#include "arithmetic.h"
#include "types.h"

INTRINSIC __m512i _mm512_cvtepu16_epi32(__m256i a) {
    return (__m512i)__builtin_convertvector((lanes_u16x16)a, lanes_u32x16);
}
INTRINSIC __m256i _mm256_cvtepu16_epi32(__m128i a) {
    return (__m256i)__builtin_convertvector((lanes_u16x8)a, lanes_u32x8);
}
// The lower four.
INTRINSIC __m128i _mm_cvtepu16_epi32(__m128i a) {
    const lanes_u16x8 lanes = (lanes_u16x8)a;
    return (__m128i)(lanes_u32x4){lanes[0], lanes[1], lanes[2], lanes[3]};
}
INTRINSIC __m512i _mm512_cvtepu8_epi32(__m128i a) {
    return (__m512i)__builtin_convertvector((lanes_u8x16)a, lanes_u32x16);
}
INTRINSIC __m512i _mm512_cvtepi8_epi16(__m256i a) {
    return (__m512i)__builtin_convertvector((lanes_i8x32)a, lanes_i16x32);
}
// The lower bits, whatever the value.
INTRINSIC __m128i _mm512_cvtepi32_epi8(__m512i a) {
    return (__m128i)__builtin_convertvector((lanes_u32x16)a, lanes_u8x16);
}
INTRINSIC __m256i _mm512_cvtepi32_epi16(__m512i a) {
    return (__m256i)__builtin_convertvector((lanes_u32x16)a, lanes_u16x16);
}
INTRINSIC __m512 _mm512_cvtepi32_ps(__m512i a) { return __builtin_convertvector((lanes_i32x16)a, __m512); }
// To nearest even; what int32 cannot hold, NaN included, becomes its least.
LONG_INTRINSIC __m512i _mm512_cvtps_epi32(__m512 a) {
    const __m512 rounded = nearest_integers(a);
    int32_t lanes[16];
    for (int i = 0; i < 16; i++)
        lanes[i] = rounded[i] >= -0x1p31f && rounded[i] < 0x1p31f ? (int32_t)rounded[i] : INT32_MIN;
    __m512i result;
    __builtin_memcpy(&result, lanes, sizeof result);
    return result;
}

// binary16 to float32. Moved up by 13 bits a binary16 is the float32 that is 2^112 times too small, subnormals
// included; the product is exact. NaN becomes quiet and keeps its payload.
#define DEFINE_WIDEN_HALVES(HALVES, WORDS, FLOATS)                                                                   \
    LONG_OVERLOADED FLOATS widen_halves(HALVES halves) {                                                             \
        const WORDS bits = __builtin_convertvector(halves, WORDS), magnitude = (bits & 0x7FFF) << 13;                \
        const WORDS number = (WORDS)((FLOATS)magnitude * 0x1p112f);                                                  \
        const WORDS isSpecial = (WORDS)(magnitude >= 0x7C00u << 13), isNaN = (WORDS)(magnitude > 0x7C00u << 13);     \
        const WORDS special = magnitude | 0x7F800000 | (isNaN & 0x00400000);                                         \
        return (FLOATS)((bits & 0x8000) << 16 | (isSpecial & special) | (~isSpecial & number));                      \
    }
DEFINE_WIDEN_HALVES(lanes_u16x4, lanes_u32x4, __m128)
DEFINE_WIDEN_HALVES(lanes_u16x8, lanes_u32x8, __m256)
DEFINE_WIDEN_HALVES(lanes_u16x16, lanes_u32x16, __m512)

INTRINSIC __m512 _mm512_cvtph_ps(__m256i a) { return widen_halves((lanes_u16x16)a); }
INTRINSIC __m256 _mm256_cvtph_ps(__m128i a) { return widen_halves((lanes_u16x8)a); }
INTRINSIC __m128 _mm_cvtph_ps(__m128i a) {
    const lanes_u16x8 lanes = (lanes_u16x8)a;
    return widen_halves((lanes_u16x4){lanes[0], lanes[1], lanes[2], lanes[3]});
}

// float32 to binary16, to nearest even. A power of two that is 2^13 times the magnitude (2^-14 at least, where binary16
// becomes subnormal) has its last bit where that of the result shall be: adding and subtracting it rounds there.
LONG_INTRINSIC __m256i _mm512_cvtps_ph(__m512 a, int immediate) {
    if ((immediate & 7) != _MM_FROUND_TO_NEAREST_INT) __builtin_trap();
    const lanes_u32x16 bits = (lanes_u32x16)a, magnitude = bits & 0x7FFFFFFF, infinity = (lanes_u32x16){0} + 0x7F800000;
    const lanes_u32x16 isLarge = (lanes_u32x16)(magnitude > 0x47800000), isNaN = (lanes_u32x16)(magnitude > infinity);
    const lanes_u32x16 limited = (isLarge & 0x47800000) | (~isLarge & magnitude);  // 2^16 becomes infinity
    const lanes_u32x16 exponent = limited & 0x7F800000, isTiny = (lanes_u32x16)(exponent < 113u << 23);
    const __m512 power = (__m512)(((isTiny & 113u << 23) | (~isTiny & exponent)) + (13u << 23));
    const __m512 rounded = ((__m512)limited + power) - power;
    const lanes_u32x16 number = (lanes_u32x16)(rounded * 0x1p-112f) >> 13;
    const lanes_u32x16 nan = 0x7E00 | (magnitude >> 13 & 0x1FF);
    const lanes_u32x16 half = (bits >> 16 & 0x8000) | (isNaN & nan) | (~isNaN & number);
    return (__m256i)__builtin_convertvector(half, lanes_u16x16);
}

// float32 to bf16, to nearest even; subnormal numbers become zeros, NaN becomes quiet. The lower half is that of `low`.
INTRINSIC lanes_u32x16 narrow_to_bf16(__m512 a) {
    const lanes_u32x16 bits = (lanes_u32x16)without_subnormals((lanes_u32x16)a);
    const lanes_u32x16 isNaN = (lanes_u32x16)((bits & 0x7FFFFFFF) > 0x7F800000u);
    const lanes_u32x16 number = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16;
    return (isNaN & (bits >> 16 | 0x40)) | (~isNaN & number);
}
LONG_INTRINSIC __m512bh _mm512_cvtne2ps_pbh(__m512 high, __m512 low) {
    const lanes_u16x16 halves[2] = {
        __builtin_convertvector(narrow_to_bf16(low), lanes_u16x16),
        __builtin_convertvector(narrow_to_bf16(high), lanes_u16x16)};
    __m512bh result;
    __builtin_memcpy(&result, halves, sizeof result);
    return result;
}

#endif
