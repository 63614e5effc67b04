// The intrinsics of AVX-512 that are compared; the including file says which ones they are, emulated or real.

#define FLOATS(x) _mm512_loadu_ps(in->x)
#define WORDS(x) _mm512_loadu_si512(in->x)
#define HALF(x) _mm256_loadu_si256((const __m256i *)in->x)
#define QUARTER(x) _mm_loadu_si128((const __m128i *)in->x)
#define DOUBLES(x) _mm512_castps_pd(FLOATS(x))
#define STORE_FLOATS(value) _mm512_storeu_ps(result, value)
#define STORE_WORDS(value) _mm512_storeu_si512(result, value)
#define STORE_HALF(value) _mm256_storeu_si256((__m256i *)result, value)
#define STORE_QUARTER(value) _mm_storeu_si128((__m128i *)result, value)

#define OPERATION(name, isFloat, statement)                                                                          \
    static void name(const struct operands *in, uint8_t *result) { statement; }

#define OPERATIONS(OPERATION)                                                                                        \
    OPERATION(add_ps, 1, STORE_FLOATS(_mm512_add_ps(FLOATS(a), FLOATS(b))))                                          \
    OPERATION(sub_ps, 1, STORE_FLOATS(_mm512_sub_ps(FLOATS(a), FLOATS(b))))                                          \
    OPERATION(mul_ps, 1, STORE_FLOATS(_mm512_mul_ps(FLOATS(a), FLOATS(b))))                                          \
    OPERATION(div_ps, 1, STORE_FLOATS(_mm512_div_ps(FLOATS(a), FLOATS(b))))                                          \
    OPERATION(sqrt_ps, 1, STORE_FLOATS(_mm512_sqrt_ps(FLOATS(a))))                                                   \
    OPERATION(fmadd_ps, 1, STORE_FLOATS(_mm512_fmadd_ps(FLOATS(a), FLOATS(b), FLOATS(c))))                           \
    OPERATION(max_ps, 0, STORE_FLOATS(_mm512_max_ps(FLOATS(a), FLOATS(b))))                                          \
    OPERATION(min_ps, 0, STORE_FLOATS(_mm512_min_ps(FLOATS(a), FLOATS(b))))                                          \
    OPERATION(roundscale_ps, 1, STORE_FLOATS(_mm512_roundscale_ps(FLOATS(a), 8)))                                    \
    OPERATION(scalef_ps, 1, STORE_FLOATS(_mm512_scalef_ps(FLOATS(a), FLOATS(b))))                                    \
    OPERATION(cmp_ps_mask, 0, *(uint16_t *)result = _mm512_cmp_ps_mask(FLOATS(a), FLOATS(b), 17))                    \
    OPERATION(mask_blend_ps, 0, STORE_FLOATS(_mm512_mask_blend_ps((uint16_t)in->mask, FLOATS(a), FLOATS(b))))        \
    OPERATION(reduce_add_ps, 1, *(float *)result = _mm512_reduce_add_ps(FLOATS(a)))                                  \
    OPERATION(maskz_loadu_ps, 0, STORE_FLOATS(_mm512_maskz_loadu_ps((uint16_t)in->mask, in->a)))                     \
    OPERATION(mask_storeu_ps, 0, _mm512_mask_storeu_ps(result, (uint16_t)in->mask, FLOATS(a)))                       \
    OPERATION(maskz_loadu_epi16, 0, STORE_HALF(_mm256_maskz_loadu_epi16((uint16_t)in->mask, in->a)))                 \
    OPERATION(i32gather_ps, 0, STORE_FLOATS(_mm512_i32gather_ps(_mm512_cvtepu8_epi32(QUARTER(a)), in->table, 4)))    \
    OPERATION(cvtph_ps_512, 0, STORE_FLOATS(_mm512_cvtph_ps(HALF(a))))                                               \
    OPERATION(cvtph_ps_256, 0, _mm256_storeu_si256((__m256i *)result, (__m256i)_mm256_cvtph_ps(QUARTER(a))))         \
    OPERATION(cvtph_ps_128, 0, _mm_storeu_ps((float *)result, _mm_cvtph_ps(QUARTER(a))))                             \
    OPERATION(cvtps_ph, 0, STORE_HALF(_mm512_cvtps_ph(FLOATS(a), 0)))                                                \
    OPERATION(cvtepu16_epi32, 0, STORE_WORDS(_mm512_cvtepu16_epi32(HALF(a))))                                        \
    OPERATION(cvtepu8_epi32, 0, STORE_WORDS(_mm512_cvtepu8_epi32(QUARTER(a))))                                       \
    OPERATION(cvtepi8_epi16, 0, STORE_WORDS(_mm512_cvtepi8_epi16(HALF(a))))                                          \
    OPERATION(cvtepi32_ps, 0, STORE_FLOATS(_mm512_cvtepi32_ps(WORDS(a))))                                            \
    OPERATION(cvtps_epi32, 0, STORE_WORDS(_mm512_cvtps_epi32(FLOATS(a))))                                            \
    OPERATION(cvtepi32_epi8, 0, STORE_QUARTER(_mm512_cvtepi32_epi8(WORDS(a))))                                       \
    OPERATION(cvtepi32_epi16, 0, STORE_HALF(_mm512_cvtepi32_epi16(WORDS(a))))                                        \
    OPERATION(unpacklo_ps, 0, STORE_FLOATS(_mm512_unpacklo_ps(FLOATS(a), FLOATS(b))))                                \
    OPERATION(unpackhi_ps, 0, STORE_FLOATS(_mm512_unpackhi_ps(FLOATS(a), FLOATS(b))))                                \
    OPERATION(unpacklo_pd, 0, STORE_FLOATS(_mm512_castpd_ps(_mm512_unpacklo_pd(DOUBLES(a), DOUBLES(b)))))            \
    OPERATION(unpackhi_pd, 0, STORE_FLOATS(_mm512_castpd_ps(_mm512_unpackhi_pd(DOUBLES(a), DOUBLES(b)))))            \
    OPERATION(shuffle_ps_44, 0, STORE_FLOATS(_mm512_shuffle_ps(FLOATS(a), FLOATS(b), 0x44)))                         \
    OPERATION(shuffle_ps_EE, 0, STORE_FLOATS(_mm512_shuffle_ps(FLOATS(a), FLOATS(b), 0xEE)))                         \
    OPERATION(shuffle_ps_4E, 0, STORE_FLOATS(_mm512_shuffle_ps(FLOATS(a), FLOATS(b), 0x4E)))                         \
    OPERATION(shuffle_ps_B1, 0, STORE_FLOATS(_mm512_shuffle_ps(FLOATS(a), FLOATS(b), 0xB1)))                         \
    OPERATION(shuffle_ps_1B, 0, STORE_FLOATS(_mm512_shuffle_ps(FLOATS(a), FLOATS(b), 0x1B)))                         \
    OPERATION(shuffle_f32x4_44, 0, STORE_FLOATS(_mm512_shuffle_f32x4(FLOATS(a), FLOATS(b), 0x44)))                   \
    OPERATION(shuffle_f32x4_4E, 0, STORE_FLOATS(_mm512_shuffle_f32x4(FLOATS(a), FLOATS(b), 0x4E)))                   \
    OPERATION(shuffle_f32x4_B1, 0, STORE_FLOATS(_mm512_shuffle_f32x4(FLOATS(a), FLOATS(b), 0xB1)))                   \
    OPERATION(shuffle_f32x4_D8, 0, STORE_FLOATS(_mm512_shuffle_f32x4(FLOATS(a), FLOATS(b), 0xD8)))                   \
    OPERATION(shuffle_f32x4_EE, 0, STORE_FLOATS(_mm512_shuffle_f32x4(FLOATS(a), FLOATS(b), 0xEE)))                   \
    OPERATION(shuffle_f32x4_88, 0, STORE_FLOATS(_mm512_shuffle_f32x4(FLOATS(a), FLOATS(b), 0x88)))                   \
    OPERATION(shuffle_f32x4_DD, 0, STORE_FLOATS(_mm512_shuffle_f32x4(FLOATS(a), FLOATS(b), 0xDD)))                   \
    OPERATION(maskz_expand_epi16, 0, STORE_WORDS(_mm512_maskz_expand_epi16((uint32_t)in->mask, WORDS(a))))           \
    OPERATION(maskz_expand_epi8, 0, STORE_WORDS(_mm512_maskz_expand_epi8(in->mask, WORDS(a))))                       \
    OPERATION(maskz_compress_epi16, 0, STORE_WORDS(_mm512_maskz_compress_epi16((uint32_t)in->mask, WORDS(a))))       \
    OPERATION(slli_epi16, 0, STORE_WORDS(_mm512_slli_epi16(WORDS(a), 4)))                                            \
    OPERATION(slli_epi32, 0, STORE_WORDS(_mm512_slli_epi32(WORDS(a), 16)))                                           \
    OPERATION(srai_epi32, 0, STORE_WORDS(_mm512_srai_epi32(WORDS(a), 3)))                                            \
    OPERATION(madd_epi16, 0, STORE_WORDS(_mm512_madd_epi16(WORDS(a), WORDS(b))))                                     \
    OPERATION(add_epi32, 0, STORE_WORDS(_mm512_add_epi32(WORDS(a), WORDS(b))))                                       \
    OPERATION(dpbusd_epi32, 0, STORE_WORDS(_mm512_dpbusd_epi32(WORDS(a), WORDS(b), WORDS(c))))                       \
    OPERATION(dpwssd_epi32, 0, STORE_WORDS(_mm512_dpwssd_epi32(WORDS(a), WORDS(b), WORDS(c))))
OPERATIONS(OPERATION)

// Those of AVX-512 BF16, which fewer processors have.
#define BF16_OPERATIONS(OPERATION)                                                                                   \
    OPERATION(cvtne2ps_pbh, 0, STORE_WORDS((__m512i)_mm512_cvtne2ps_pbh(FLOATS(a), FLOATS(b))))                      \
    OPERATION(                                                                                                       \
        dpbf16_ps, 1, STORE_FLOATS(_mm512_dpbf16_ps(FLOATS(a), (__m512bh)WORDS(b), (__m512bh)WORDS(c))))
BF16_OPERATIONS(OPERATION)

#define ROW(name, isFloat, statement) {#name, isFloat, name},
