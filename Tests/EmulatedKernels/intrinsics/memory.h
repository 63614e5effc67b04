// Loads, stores, constants, and values seen as another type. Addresses are void: a pointer to a vector would promise
// that they are aligned.
#ifndef FLASH_LLM_EMULATED_MEMORY_H
#define FLASH_LLM_EMULATED_MEMORY_H

#include "types.h"

INTRINSIC __m512 _mm512_loadu_ps(const void *address) {
    __m512 a;
    __builtin_memcpy(&a, address, sizeof a);
    return a;
}
INTRINSIC __m512i _mm512_loadu_si512(const void *address) {
    __m512i a;
    __builtin_memcpy(&a, address, sizeof a);
    return a;
}
INTRINSIC __m256i _mm256_loadu_si256(const void *address) {
    __m256i a;
    __builtin_memcpy(&a, address, sizeof a);
    return a;
}
INTRINSIC __m128i _mm_loadu_si128(const void *address) {
    __m128i a;
    __builtin_memcpy(&a, address, sizeof a);
    return a;
}
INTRINSIC __m128i _mm_loadl_epi64(const void *address) {
    __m128i a = {0, 0};
    __builtin_memcpy(&a, address, 8);
    return a;
}
INTRINSIC void _mm512_storeu_ps(void *address, __m512 a) { __builtin_memcpy(address, &a, sizeof a); }
INTRINSIC void _mm512_storeu_si512(void *address, __m512i a) { __builtin_memcpy(address, &a, sizeof a); }
INTRINSIC void _mm256_storeu_si256(void *address, __m256i a) { __builtin_memcpy(address, &a, sizeof a); }
INTRINSIC void _mm_storeu_si128(void *address, __m128i a) { __builtin_memcpy(address, &a, sizeof a); }
INTRINSIC void _mm_storeu_ps(void *address, __m128 a) { __builtin_memcpy(address, &a, sizeof a); }

// Lanes whose bit is not set are neither read nor written.
LONG_INTRINSIC __m512 _mm512_maskz_loadu_ps(__mmask16 mask, const void *address) {
    float lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = mask >> i & 1 ? ((const float *)address)[i] : 0;
    return _mm512_loadu_ps(lanes);
}
LONG_INTRINSIC void _mm512_mask_storeu_ps(void *address, __mmask16 mask, __m512 a) {
    for (int i = 0; i < 16; i++)
        if (mask >> i & 1) ((float *)address)[i] = a[i];
}
LONG_INTRINSIC __m256i _mm256_maskz_loadu_epi16(__mmask16 mask, const void *address) {
    uint16_t lanes[16];
    for (int i = 0; i < 16; i++) lanes[i] = mask >> i & 1 ? ((const uint16_t *)address)[i] : 0;
    return _mm256_loadu_si256(lanes);
}

LONG_INTRINSIC __m512 _mm512_i32gather_ps(__m512i index, const void *base, int scale) {
    const lanes_i32x16 places = (lanes_i32x16)index;
    float lanes[16];
    for (int i = 0; i < 16; i++)
        __builtin_memcpy(&lanes[i], (const char *)base + (int64_t)places[i] * scale, sizeof lanes[i]);
    return _mm512_loadu_ps(lanes);
}

INTRINSIC __m512 _mm512_setzero_ps(void) { return (__m512){0}; }
INTRINSIC __m512i _mm512_setzero_si512(void) { return (__m512i){0}; }
INTRINSIC __m512 _mm512_set1_ps(float a) { return (__m512){a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a}; }
INTRINSIC __m512i _mm512_set1_epi32(int a) {
    return (__m512i)(lanes_i32x16){a, a, a, a, a, a, a, a, a, a, a, a, a, a, a, a};
}
INTRINSIC __m512i _mm512_set1_epi8(char a) { return _mm512_set1_epi32((int)((uint8_t)a * 0x01010101u)); }

INTRINSIC __m512 _mm512_castsi512_ps(__m512i a) { return (__m512)a; }
INTRINSIC __m512d _mm512_castps_pd(__m512 a) { return (__m512d)a; }
INTRINSIC __m512 _mm512_castpd_ps(__m512d a) { return (__m512)a; }
INTRINSIC __m256 _mm256_castsi256_ps(__m256i a) { return (__m256)a; }
INTRINSIC __m128 _mm_castsi128_ps(__m128i a) { return (__m128)a; }

#endif
