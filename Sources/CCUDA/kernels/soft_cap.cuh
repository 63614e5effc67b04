// Numbers that are kept below a bound without a corner (Gemma 2, arXiv:2408.00118).
#pragma once

#include "gpu.cuh"

namespace gpu {

// cap * tanh(value / cap); the error is some 2^-22 of the cap.
GPU_FUNCTION float soft_cap(float value, float cap) {
    constexpr float two_log2_e = 2.88539008f;
    return cap - 2 * cap / (1 + exp2_approximate(two_log2_e * value / cap));
}

}  // namespace gpu
