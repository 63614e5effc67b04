// Instructions of AVX2, FMA and F16C that do in 256 or 128 bits what those of AVX-512 do in 512.
#include "operations.h"

#include "CKernels.h"

#include <stddef.h>

static const struct operation none[] = {{NULL, 0, NULL}};

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push(__attribute__((target("avx2,fma,f16c"))), apply_to = function)

#define FLOATS(x) _mm256_loadu_ps((const float *)(in->x + i * 32))
#define DOUBLES(x) _mm256_castps_pd(FLOATS(x))
#define WORDS(x) _mm256_loadu_si256((const __m256i *)(in->x + i * 32))
// Half of what a half of the result is made of, and a quarter of the operand.
#define NARROW(x) _mm_loadu_si128((const __m128i *)(in->x + i * 16))
#define NARROWER(x) _mm_loadl_epi64((const __m128i *)(in->x + i * 8))
#define STORE_FLOATS(value) _mm256_storeu_ps((float *)(result + i * 32), value)
#define STORE_WORDS(value) _mm256_storeu_si256((__m256i *)(result + i * 32), value)
#define STORE_NARROW(value) _mm_storeu_si128((__m128i *)(result + i * 16), value)

#define ANALOGUE(name, parts, isFloat, statement)                                                                    \
    static void name(const struct operands *in, uint8_t *result) {                                                   \
        for (int i = 0; i < parts; i++) statement;                                                                   \
    }

#define ANALOGUES(ANALOGUE)                                                                                          \
    ANALOGUE(add_ps, 2, 1, STORE_FLOATS(_mm256_add_ps(FLOATS(a), FLOATS(b))))                                        \
    ANALOGUE(sub_ps, 2, 1, STORE_FLOATS(_mm256_sub_ps(FLOATS(a), FLOATS(b))))                                        \
    ANALOGUE(mul_ps, 2, 1, STORE_FLOATS(_mm256_mul_ps(FLOATS(a), FLOATS(b))))                                        \
    ANALOGUE(div_ps, 2, 1, STORE_FLOATS(_mm256_div_ps(FLOATS(a), FLOATS(b))))                                        \
    ANALOGUE(sqrt_ps, 2, 1, STORE_FLOATS(_mm256_sqrt_ps(FLOATS(a))))                                                 \
    ANALOGUE(fmadd_ps, 2, 1, STORE_FLOATS(_mm256_fmadd_ps(FLOATS(a), FLOATS(b), FLOATS(c))))                         \
    ANALOGUE(max_ps, 2, 0, STORE_FLOATS(_mm256_max_ps(FLOATS(a), FLOATS(b))))                                        \
    ANALOGUE(min_ps, 2, 0, STORE_FLOATS(_mm256_min_ps(FLOATS(a), FLOATS(b))))                                        \
    ANALOGUE(roundscale_ps, 2, 1, STORE_FLOATS(_mm256_round_ps(FLOATS(a), 8)))                                       \
    ANALOGUE(cmp_ps_mask, 2, 0, result[i] = (uint8_t)_mm256_movemask_ps(_mm256_cmp_ps(FLOATS(a), FLOATS(b), 17)))    \
    ANALOGUE(i32gather_ps, 2, 0,                                                                                     \
             STORE_FLOATS(_mm256_i32gather_ps(in->table, _mm256_cvtepu8_epi32(NARROWER(a)), 4)))                     \
    ANALOGUE(cvtph_ps_512, 2, 0, STORE_FLOATS(_mm256_cvtph_ps(NARROW(a))))                                           \
    ANALOGUE(cvtph_ps_256, 1, 0, STORE_FLOATS(_mm256_cvtph_ps(NARROW(a))))                                           \
    ANALOGUE(cvtph_ps_128, 1, 0, _mm_storeu_ps((float *)result, _mm_cvtph_ps(NARROW(a))))                            \
    ANALOGUE(cvtps_ph, 2, 0, STORE_NARROW(_mm256_cvtps_ph(FLOATS(a), 0)))                                            \
    ANALOGUE(cvtepu16_epi32, 2, 0, STORE_WORDS(_mm256_cvtepu16_epi32(NARROW(a))))                                    \
    ANALOGUE(cvtepu8_epi32, 2, 0, STORE_WORDS(_mm256_cvtepu8_epi32(NARROWER(a))))                                    \
    ANALOGUE(cvtepi8_epi16, 2, 0, STORE_WORDS(_mm256_cvtepi8_epi16(NARROW(a))))                                      \
    ANALOGUE(cvtepi32_ps, 2, 0, STORE_FLOATS(_mm256_cvtepi32_ps(WORDS(a))))                                          \
    ANALOGUE(cvtps_epi32, 2, 0, STORE_WORDS(_mm256_cvtps_epi32(FLOATS(a))))                                          \
    ANALOGUE(unpacklo_ps, 2, 0, STORE_FLOATS(_mm256_unpacklo_ps(FLOATS(a), FLOATS(b))))                              \
    ANALOGUE(unpackhi_ps, 2, 0, STORE_FLOATS(_mm256_unpackhi_ps(FLOATS(a), FLOATS(b))))                              \
    ANALOGUE(unpacklo_pd, 2, 0, STORE_FLOATS(_mm256_castpd_ps(_mm256_unpacklo_pd(DOUBLES(a), DOUBLES(b)))))          \
    ANALOGUE(unpackhi_pd, 2, 0, STORE_FLOATS(_mm256_castpd_ps(_mm256_unpackhi_pd(DOUBLES(a), DOUBLES(b)))))          \
    ANALOGUE(shuffle_ps_44, 2, 0, STORE_FLOATS(_mm256_shuffle_ps(FLOATS(a), FLOATS(b), 0x44)))                       \
    ANALOGUE(shuffle_ps_EE, 2, 0, STORE_FLOATS(_mm256_shuffle_ps(FLOATS(a), FLOATS(b), 0xEE)))                       \
    ANALOGUE(shuffle_ps_4E, 2, 0, STORE_FLOATS(_mm256_shuffle_ps(FLOATS(a), FLOATS(b), 0x4E)))                       \
    ANALOGUE(shuffle_ps_B1, 2, 0, STORE_FLOATS(_mm256_shuffle_ps(FLOATS(a), FLOATS(b), 0xB1)))                       \
    ANALOGUE(shuffle_ps_1B, 2, 0, STORE_FLOATS(_mm256_shuffle_ps(FLOATS(a), FLOATS(b), 0x1B)))                       \
    ANALOGUE(slli_epi16, 2, 0, STORE_WORDS(_mm256_slli_epi16(WORDS(a), 4)))                                          \
    ANALOGUE(slli_epi32, 2, 0, STORE_WORDS(_mm256_slli_epi32(WORDS(a), 16)))                                         \
    ANALOGUE(srai_epi32, 2, 0, STORE_WORDS(_mm256_srai_epi32(WORDS(a), 3)))                                          \
    ANALOGUE(madd_epi16, 2, 0, STORE_WORDS(_mm256_madd_epi16(WORDS(a), WORDS(b))))                                   \
    ANALOGUE(add_epi32, 2, 0, STORE_WORDS(_mm256_add_epi32(WORDS(a), WORDS(b))))                                     \
    /* vpmaddwd is the product alone; its sum wraps around, too. */                                                  \
    ANALOGUE(dpwssd_epi32, 2, 0, STORE_WORDS(_mm256_add_epi32(WORDS(a), _mm256_madd_epi16(WORDS(b), WORDS(c)))))
ANALOGUES(ANALOGUE)
#pragma clang attribute pop

#define ROW(name, parts, isFloat, statement) {#name, isFloat, name},
static const struct operation all[] = {ANALOGUES(ROW){NULL, 0, NULL}};

const struct operation *analogous_operations(void) { return flash_kernels_select("avx2") != NULL ? all : none; }
#else
const struct operation *analogous_operations(void) { return none; }
#endif
