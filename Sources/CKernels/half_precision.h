#ifndef FLASH_LLM_HALF_PRECISION_H
#define FLASH_LLM_HALF_PRECISION_H

#include <stdint.h>
#include <string.h>

// Conversions of one element as integer arithmetic without branches, so that loops over them vectorise on any processor
// (binary16 instructions are an extension on x86). Every result is the one that the F16C instructions give.

static inline float float_from_bits(uint32_t bits) {
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static inline uint32_t bits_from_float(float value) {
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static inline uint16_t load_u16(const void *address) {
    uint16_t value;
    memcpy(&value, address, sizeof value);
    return value;
}

static inline uint32_t load_u32(const void *address) {
    uint32_t value;
    memcpy(&value, address, sizeof value);
    return value;
}

static inline uint32_t float_bits_from_f16(uint16_t half) {
    uint32_t sign = (uint32_t)(half & 0x8000) << 16;
    uint32_t magnitude = (uint32_t)(half & 0x7FFF) << 13;
    // Moves the exponent from bias 15 to bias 127.
    uint32_t normal = magnitude + (112u << 23);
    // 2^-14 + fraction - 2^-14: the subtraction, exact, finds the leading bit of a subnormal.
    float two_to_minus_14 = float_from_bits(113u << 23);
    uint32_t subnormal = bits_from_float(float_from_bits(magnitude + (113u << 23)) - two_to_minus_14);
    uint32_t quiet = magnitude > (31u << 23) ? 1u << 22 : 0;
    uint32_t special = magnitude | (255u << 23) | quiet;
    uint32_t result = magnitude < (1u << 23) ? subnormal : normal;
    return sign | (magnitude >= (31u << 23) ? special : result);
}

static inline float float_from_f16(uint16_t half) { return float_from_bits(float_bits_from_f16(half)); }

static inline uint16_t f16_from_float_bits(uint32_t bits) {
    uint32_t sign = (bits >> 16) & 0x8000;
    uint32_t magnitude = bits & 0x7FFFFFFF;
    // Moves the exponent and rounds to nearest even; a carry out of the fraction, up to infinity, comes out right.
    uint32_t normal = (magnitude - (112u << 23) + 0xFFF + ((magnitude >> 13) & 1)) >> 13;
    // Next to 0.5 a binary32's last bit is worth 2^-24, as is a binary16 subnormal's: the addition rounds.
    uint32_t subnormal = bits_from_float(float_from_bits(magnitude) + 0.5f) - (126u << 23);
    uint32_t result = magnitude < (113u << 23) ? subnormal : normal;
    result = magnitude >= (143u << 23) ? 0x7C00 : result;
    uint32_t nan = 0x7E00 | ((magnitude >> 13) & 0x1FF);
    return (uint16_t)(sign | (magnitude > (255u << 23) ? nan : result));
}

static inline uint16_t bf16_from_float_bits(uint32_t bits) {
    uint32_t rounded = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16;
    uint32_t nan = (bits >> 16) | 0x40;
    return (uint16_t)((bits & 0x7FFFFFFF) > (255u << 23) ? nan : rounded);
}

#endif
