// Lanes that change their places.
#ifndef FLASH_LLM_EMULATED_PERMUTATIONS_H
#define FLASH_LLM_EMULATED_PERMUTATIONS_H

#include "types.h"

INTRINSIC __m256 _mm512_castps512_ps256(__m512 a) { return __builtin_shufflevector(a, a, 0, 1, 2, 3, 4, 5, 6, 7); }
INTRINSIC float _mm512_cvtss_f32(__m512 a) { return a[0]; }
INTRINSIC __m256i _mm512_castsi512_si256(__m512i a) { return __builtin_shufflevector(a, a, 0, 1, 2, 3); }
INTRINSIC __m128 _mm256_castps256_ps128(__m256 a) { return __builtin_shufflevector(a, a, 0, 1, 2, 3); }
INTRINSIC __m256 _mm512_extractf32x8_ps(__m512 a, int part) {
    return part & 1 ? __builtin_shufflevector(a, a, 8, 9, 10, 11, 12, 13, 14, 15) : _mm512_castps512_ps256(a);
}
INTRINSIC __m256i _mm512_extracti64x4_epi64(__m512i a, int part) {
    return part & 1 ? __builtin_shufflevector(a, a, 4, 5, 6, 7) : _mm512_castsi512_si256(a);
}
INTRINSIC __m128 _mm256_extractf128_ps(__m256 a, int part) {
    return part & 1 ? __builtin_shufflevector(a, a, 4, 5, 6, 7) : _mm256_castps256_ps128(a);
}

// All of these work within parts of 128 bits.
INTRINSIC __m512 _mm512_unpacklo_ps(__m512 a, __m512 b) {
    __m512 result;
    for (int i = 0; i < 16; i++) result[i] = (i % 2 == 0 ? a : b)[i / 4 * 4 + i % 4 / 2];
    return result;
}
INTRINSIC __m512 _mm512_unpackhi_ps(__m512 a, __m512 b) {
    __m512 result;
    for (int i = 0; i < 16; i++) result[i] = (i % 2 == 0 ? a : b)[i / 4 * 4 + 2 + i % 4 / 2];
    return result;
}
INTRINSIC __m512d _mm512_unpacklo_pd(__m512d a, __m512d b) {
    return __builtin_shufflevector(a, b, 0, 8, 2, 10, 4, 12, 6, 14);
}
INTRINSIC __m512d _mm512_unpackhi_pd(__m512d a, __m512d b) {
    return __builtin_shufflevector(a, b, 1, 9, 3, 11, 5, 13, 7, 15);
}
// Two lanes of each part from a, two from b, two bits of the control each.
INTRINSIC __m512 _mm512_shuffle_ps(__m512 a, __m512 b, int control) {
    __m512 result;
    for (int i = 0; i < 16; i++) result[i] = (i % 4 < 2 ? a : b)[i / 4 * 4 + (control >> i % 4 * 2 & 3)];
    return result;
}

// Two of a's parts, two of b's.
INTRINSIC __m512 _mm512_shuffle_f32x4(__m512 a, __m512 b, int control) {
    __m512 result;
    for (int i = 0; i < 16; i++) result[i] = (i < 8 ? a : b)[(control >> i / 4 * 2 & 3) * 4 + i % 4];
    return result;
}

// The elements behind each other go to the places whose bits are set, zeros to the others.
LONG_INTRINSIC __m512i _mm512_maskz_expand_epi16(__mmask32 mask, __m512i a) {
    uint16_t packed[32], lanes[32];
    __builtin_memcpy(packed, &a, sizeof packed);
    for (int i = 0, next = 0; i < 32; i++) lanes[i] = mask >> i & 1 ? packed[next++] : 0;
    __builtin_memcpy(&a, lanes, sizeof a);
    return a;
}
LONG_INTRINSIC __m512i _mm512_maskz_expand_epi8(__mmask64 mask, __m512i a) {
    uint8_t packed[64], lanes[64];
    __builtin_memcpy(packed, &a, sizeof packed);
    for (int i = 0, next = 0; i < 64; i++) lanes[i] = mask >> i & 1 ? packed[next++] : 0;
    __builtin_memcpy(&a, lanes, sizeof a);
    return a;
}
// The elements whose bits are set go behind each other, zeros to the places that are left.
LONG_INTRINSIC __m512i _mm512_maskz_compress_epi16(__mmask32 mask, __m512i a) {
    uint16_t lanes[32], packed[32] = {0};
    __builtin_memcpy(lanes, &a, sizeof lanes);
    for (int i = 0, next = 0; i < 32; i++)
        if (mask >> i & 1) packed[next++] = lanes[i];
    __builtin_memcpy(&a, packed, sizeof packed);
    return a;
}

#endif
