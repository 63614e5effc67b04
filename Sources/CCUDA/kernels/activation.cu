// The activation between the products of an MLP.
#include "elements.cuh"
#include "gpu_parameters.h"
#include "turns.cuh"

using namespace gpu;

namespace {

GPU_FUNCTION float exponential(float value) { return exp2_approximate(1.44269504f * value); }

// x times the normal distribution's share below x, by the same fit as on processors (CKernels, activations.inc.h).
GPU_FUNCTION float gelu(float x) {
    constexpr float p[10] = {-1.26549752f, 0.999686355f, 0.377223408f, 0.0811646085f, -0.139631482f,
                             0.1914623f,   -1.03165751f, 1.4132031f,   -0.791463094f, 0.165509898f};
    const float a = maximum(-x, x) * 0.70710678f;
    const float t = 1 / fused_multiply_add(a, 0.5f, 1);
    float exponent = p[9];
#pragma unroll
    for (int k = 8; k >= 0; k--) exponent = fused_multiply_add(exponent, t, p[k]);
    const float part = x * 0.5f * t * exponential(exponent - a * a);
    return x < 0 ? part : x - part;
}

GPU_FUNCTION float activate(float value, u32 kind) {
    switch (kind) {
        case FLASH_GPU_ACTIVATION_GATED_SILU: return value / (1 + exponential(-value));
        // NaN stays NaN.
        case FLASH_GPU_ACTIVATION_RELU: return value < 0 ? 0 : value;
        case FLASH_GPU_ACTIVATION_GELU: return gelu(value);
        default:  // With tanh, gated or not.
            return value / (1 + exponential(-1.5957691f * value * fused_multiply_add(value * value, 0.044715f, 1)));
    }
}

template <typename Element>
GPU_FUNCTION void activate_row(const flash_gpu_activation &parameters) {
    take_turn();
    const u32 column = block_x() * FLASH_GPU_STEP_THREADS + thread(), token = block_y();
    if (column >= parameters.output_stride) return;
    const u32 width = parameters.width, kind = parameters.kind;
    const bool is_gated =
        kind == FLASH_GPU_ACTIVATION_GATED_SILU || kind == FLASH_GPU_ACTIVATION_GATED_GELU_TANH;
    const u32 parts = is_gated ? 2 : 1;
    float value = 0;
    if (column < width) {
        const float *input = reinterpret_cast<const float *>(parameters.input) + u64(token) * parts * width;
        const auto element = [&](u32 index) {
            const float product = load(input + index);
            return parameters.bias == 0 ? product
                                        : product + load(reinterpret_cast<const float *>(parameters.bias) + index);
        };
        value = activate(element(column), kind);
        if (is_gated) value *= element(width + column);
    }
    u16 *output = reinterpret_cast<u16 *>(parameters.output) + u64(token) * parameters.output_stride;
    store(output + column, static_cast<u16>(Element::pack(value, 0)));
}

}  // namespace

GPU_KERNEL(activate_f16, FLASH_GPU_STEP_THREADS, flash_gpu_activation) { activate_row<F16>(parameters); }
GPU_KERNEL(activate_bf16, FLASH_GPU_STEP_THREADS, flash_gpu_activation) { activate_row<BF16>(parameters); }
