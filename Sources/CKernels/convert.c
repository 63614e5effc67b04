#include "CKernels.h"
#include "half_precision.h"

void convert_f16_f32(const void *input, int64_t count, float *output) {
    const uint8_t *bytes = input;
    for (int64_t i = 0; i < count; i++) output[i] = float_from_f16(load_u16(bytes + 2 * i));
}

void convert_bf16_f32(const void *input, int64_t count, float *output) {
    const uint8_t *bytes = input;
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits = (uint32_t)load_u16(bytes + 2 * i) << 16;
        uint32_t quiet = (bits & 0x7FFFFFFF) > (255u << 23) ? 1u << 22 : 0;
        output[i] = float_from_bits(bits | quiet);
    }
}

void convert_f32_f16(const void *input, int64_t count, uint16_t *output) {
    const uint8_t *bytes = input;
    for (int64_t i = 0; i < count; i++) output[i] = f16_from_float_bits(load_u32(bytes + 4 * i));
}

void convert_f32_bf16(const void *input, int64_t count, uint16_t *output) {
    const uint8_t *bytes = input;
    for (int64_t i = 0; i < count; i++) output[i] = bf16_from_float_bits(load_u32(bytes + 4 * i));
}

// An element is NaN or infinite if all bits of its exponent are set. Both functions look at whole runs, which
// vectorises, and search only the run that has one.
enum { RUN = 512 };

static int64_t first_nonfinite_u32(const uint8_t *input, int64_t count) {
    for (int64_t start = 0; start < count; start += RUN) {
        int64_t end = start + RUN < count ? start + RUN : count;
        uint32_t found = 0;
        for (int64_t i = start; i < end; i++) found |= (load_u32(input + 4 * i) & 0x7F800000) == 0x7F800000;
        if (!found) continue;
        for (int64_t i = start; i < end; i++) {
            if ((load_u32(input + 4 * i) & 0x7F800000) == 0x7F800000) return i;
        }
    }
    return count;
}

static int64_t first_nonfinite_u16(const uint8_t *input, int64_t count, uint16_t exponent) {
    for (int64_t start = 0; start < count; start += RUN) {
        int64_t end = start + RUN < count ? start + RUN : count;
        uint16_t found = 0;
        for (int64_t i = start; i < end; i++) found |= (load_u16(input + 2 * i) & exponent) == exponent;
        if (!found) continue;
        for (int64_t i = start; i < end; i++) {
            if ((load_u16(input + 2 * i) & exponent) == exponent) return i;
        }
    }
    return count;
}

int64_t first_nonfinite_weight(enum weight_encoding encoding, const void *input, int64_t count) {
    switch (encoding) {
    case WEIGHT_F32: return first_nonfinite_u32(input, count);
    case WEIGHT_F16: return first_nonfinite_u16(input, count, 0x7C00);
    case WEIGHT_BF16: return first_nonfinite_u16(input, count, 0x7F80);
    default: __builtin_trap();  // block-quantised weights have no bits of their own to look at
    }
}
