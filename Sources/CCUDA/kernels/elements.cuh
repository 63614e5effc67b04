// The 16-bit types of weights and activations.
#pragma once

#include "gpu.cuh"

namespace gpu {

struct F16 {
    GPU_FUNCTION static void multiply(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        multiply_f16(sums, a, b0, b1);
    }
    GPU_FUNCTION static u32 pack(float low, float high) { return pack_f16(low, high); }
    GPU_FUNCTION static float widen(u16 bits) { return widen_f16(bits); }
};

struct BF16 {
    GPU_FUNCTION static void multiply(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1) {
        multiply_bf16(sums, a, b0, b1);
    }
    GPU_FUNCTION static u32 pack(float low, float high) { return pack_bf16(low, high); }
    GPU_FUNCTION static float widen(u16 bits) { return widen_bf16(bits); }
};

}  // namespace gpu
