// Instructions by their definition, one element at a time: those without an analogue in AVX2, and the hardest others.
#include "operations.h"

#include "CKernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static float float_at(const uint8_t *bytes, int i) {
    float value;
    memcpy(&value, bytes + 4 * i, sizeof value);
    return value;
}
static void put_float(uint8_t *bytes, int i, float value) { memcpy(bytes + 4 * i, &value, sizeof value); }
static int32_t int_at(const uint8_t *bytes, int i) {
    int32_t value;
    memcpy(&value, bytes + 4 * i, sizeof value);
    return value;
}
static int isSet(const struct operands *in, int i) { return (int)(in->mask >> i & 1); }

static void fmadd_ps(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 16; i++)
        put_float(result, i, fmaf(float_at(in->a, i), float_at(in->b, i), float_at(in->c, i)));
}
static void roundscale_ps(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 16; i++) put_float(result, i, nearbyintf(float_at(in->a, i)));
}
// The table of special cases of VSCALEFPS; else the product with a power of two, in double, is exact before it is
// rounded to float32.
static void scalef_ps(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 16; i++) {
        const float a = float_at(in->a, i), b = float_at(in->b, i);
        float value;
        const int isSignaling = isnan(a) && (int_at(in->a, i) & 0x400000) == 0;
        if (isnan(a)) {
            value = isSignaling ? a : b == INFINITY ? INFINITY : b == -INFINITY ? 0 : a;
        } else if (isnan(b)) {
            value = b;
        } else if (b == INFINITY) {
            value = a == 0 ? NAN : copysignf(INFINITY, a);
        } else if (b == -INFINITY) {
            value = isinf(a) ? NAN : copysignf(0, a);
        } else {
            value = (float)(a * exp2(fmin(fmax(floor(b), -500), 500)));
        }
        put_float(result, i, value);
    }
}
static void mask_blend_ps(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 64; i++) result[i] = isSet(in, i / 4) ? in->b[i] : in->a[i];
}
static void reduce_add_ps(const struct operands *in, uint8_t *result) {
    float sums[16];
    memcpy(sums, in->a, sizeof sums);
    for (int count = 8; count > 0; count /= 2)
        for (int i = 0; i < count; i++) sums[i] = sums[i] + sums[i + count];
    put_float(result, 0, sums[0]);
}
static void maskz_loadu_ps(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 64; i++) result[i] = isSet(in, i / 4) ? in->a[i] : 0;
}
static void mask_storeu_ps(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 64; i++)
        if (isSet(in, i / 4)) result[i] = in->a[i];
}
static void maskz_loadu_epi16(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 32; i++) result[i] = isSet(in, i / 2) ? in->a[i] : 0;
}
static void cvtepi32_epi8(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 16; i++) result[i] = (uint8_t)(int_at(in->a, i) % 256);
}
static void cvtepi32_epi16(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 32; i++) result[i] = in->a[i / 2 * 4 + i % 2];
}
static void cvtph_ps_512(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 16; i++) {
        uint16_t bits;
        memcpy(&bits, in->a + 2 * i, sizeof bits);
        put_float(result, i, flash_widen_one(bits, FLASH_F16));
    }
}
// Parts of 128 bits: two of each operand, two bits of the control each.
static void shuffle_parts(const struct operands *in, uint8_t *result, int control) {
    for (int i = 0; i < 4; i++) memcpy(result + 16 * i, (i < 2 ? in->a : in->b) + (control >> 2 * i & 3) * 16, 16);
}
static void shuffle_f32x4_44(const struct operands *in, uint8_t *result) { shuffle_parts(in, result, 0x44); }
static void shuffle_f32x4_4E(const struct operands *in, uint8_t *result) { shuffle_parts(in, result, 0x4E); }
static void shuffle_f32x4_88(const struct operands *in, uint8_t *result) { shuffle_parts(in, result, 0x88); }
static void shuffle_f32x4_B1(const struct operands *in, uint8_t *result) { shuffle_parts(in, result, 0xB1); }
static void shuffle_f32x4_D8(const struct operands *in, uint8_t *result) { shuffle_parts(in, result, 0xD8); }
static void shuffle_f32x4_DD(const struct operands *in, uint8_t *result) { shuffle_parts(in, result, 0xDD); }
static void shuffle_f32x4_EE(const struct operands *in, uint8_t *result) { shuffle_parts(in, result, 0xEE); }
// Place i gets the element whose number is how many places before it are set.
static void expand(const struct operands *in, uint8_t *result, int width) {
    memset(result, 0, 64);
    for (int i = 0; i < 64 / width; i++) {
        const uint64_t before = in->mask & ((1ull << i) - 1);
        if (isSet(in, i)) memcpy(result + i * width, in->a + __builtin_popcountll(before) * width, (size_t)width);
    }
}
static void maskz_expand_epi16(const struct operands *in, uint8_t *result) { expand(in, result, 2); }
static void maskz_expand_epi8(const struct operands *in, uint8_t *result) { expand(in, result, 1); }
// Element i goes to the place whose number is how many places before it are set.
static void maskz_compress_epi16(const struct operands *in, uint8_t *result) {
    memset(result, 0, 64);
    for (int i = 0; i < 32; i++) {
        const uint64_t before = in->mask & ((1ull << i) - 1);
        if (isSet(in, i)) memcpy(result + __builtin_popcountll(before) * 2, in->a + i * 2, 2);
    }
}
static void dpbusd_epi32(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 16; i++) {
        int64_t sum = int_at(in->a, i);
        for (int n = 4 * i; n < 4 * i + 4; n++) sum += (int64_t)in->b[n] * (int8_t)in->c[n];
        const uint32_t wrapped = (uint32_t)sum;
        memcpy(result + 4 * i, &wrapped, sizeof wrapped);
    }
}
// A subnormal float32 counts as zero.
static float flushed(float value) { return isnormal(value) || !isfinite(value) ? value : copysignf(0, value); }
static void cvtne2ps_pbh(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 32; i++) {
        const float value = flushed(float_at(i < 16 ? in->b : in->a, i % 16));
        uint16_t bits;
        if (isnan(value)) {
            bits = (uint16_t)((uint32_t)int_at(i < 16 ? in->b : in->a, i % 16) >> 16) | 0x40;
        } else {
            convert_f32_bf16(&value, 1, &bits);
        }
        memcpy(result + 2 * i, &bits, sizeof bits);
    }
}
static void dpbf16_ps(const struct operands *in, uint8_t *result) {
    for (int i = 0; i < 16; i++) {
        float sum = flushed(float_at(in->a, i));
        for (int half = 1; half >= 0; half--) {
            uint16_t b, c;
            memcpy(&b, in->b + 4 * i + 2 * half, sizeof b);
            memcpy(&c, in->c + 4 * i + 2 * half, sizeof c);
            const float x = flushed(flash_widen_one(b, FLASH_BF16)), y = flushed(flash_widen_one(c, FLASH_BF16));
            sum = flushed(fmaf(x, y, sum));
        }
        put_float(result, i, sum);
    }
}

#define ROW(name, isFloat) {#name, isFloat, name}
const struct operation defined_operations[] = {
    ROW(fmadd_ps, 1), ROW(roundscale_ps, 1), ROW(scalef_ps, 1), ROW(mask_blend_ps, 0), ROW(reduce_add_ps, 1),
    ROW(maskz_loadu_ps, 0), ROW(mask_storeu_ps, 0), ROW(maskz_loadu_epi16, 0),
    ROW(cvtepi32_epi8, 0),
    ROW(cvtepi32_epi16, 0), ROW(cvtph_ps_512, 1), ROW(shuffle_f32x4_44, 0), ROW(shuffle_f32x4_4E, 0),
    ROW(shuffle_f32x4_88, 0), ROW(shuffle_f32x4_B1, 0), ROW(shuffle_f32x4_D8, 0), ROW(shuffle_f32x4_DD, 0),
    ROW(shuffle_f32x4_EE, 0),
    ROW(maskz_expand_epi16, 0), ROW(maskz_expand_epi8, 0), ROW(maskz_compress_epi16, 0), ROW(dpbusd_epi32, 0),
    ROW(cvtne2ps_pbh, 0), ROW(dpbf16_ps, 1), {NULL, 0, NULL}};
