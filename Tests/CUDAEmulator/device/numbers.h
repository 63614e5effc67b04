// Conversions of 16-bit floats in integer arithmetic, right for every input.
#pragma once

#include <bit>

#include "interface.h"

namespace emulator {

// Exact. NaN keeps its payload.
inline float widen_f16(u16 bits) {
    const u32 sign = u32(bits & 0x8000) << 16, magnitude = bits & 0x7fff;
    if (magnitude >= 0x7c00) return std::bit_cast<float>(sign | 0x7f800000 | (magnitude & 0x3ff) << 13);
    if (magnitude >= 0x0400) return std::bit_cast<float>(sign | ((magnitude << 13) + 0x38000000));
    // Subnormal: a multiple of 2^-24.
    return std::bit_cast<float>(sign | std::bit_cast<u32>(float(magnitude) * 0x1p-24f));
}

inline float widen_bf16(u16 bits) { return std::bit_cast<float>(u32(bits) << 16); }

// To the nearest, ties to even; what rounds to 65520 or more is infinite. Every NaN becomes 0x7fff, as on the device.
inline u16 narrow_f16(float value) {
    const u32 bits = std::bit_cast<u32>(value), sign = bits >> 16 & 0x8000, magnitude = bits & 0x7fffffff;
    if (magnitude > 0x7f800000) return 0x7fff;
    if (magnitude >= 0x477ff000) return u16(sign | 0x7c00);
    if (magnitude < 0x38800000) {
        // Adding 0.5 leaves the multiple of 2^-24 in the lowest bits, rounded as float32 additions are.
        const float rounded = std::bit_cast<float>(magnitude) + 0.5f;
        return u16(sign | (std::bit_cast<u32>(rounded) - 0x3f000000));
    }
    return u16(sign | (magnitude - 0x38000000 + 0xfff + (magnitude >> 13 & 1)) >> 13);
}

inline u16 narrow_bf16(float value) {
    const u32 bits = std::bit_cast<u32>(value);
    if ((bits & 0x7fffffff) > 0x7f800000) return 0x7fff;
    return u16((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace emulator
