// The activation between the products of an MLP.
#include "elements.cuh"
#include "gpu_parameters.h"

using namespace gpu;

namespace {

template <typename Element>
GPU_FUNCTION void multiply_gate(const flash_gpu_gate &parameters) {
    constexpr float log2_e = 1.44269504f;
    const u32 column = block_x() * FLASH_GPU_STEP_THREADS + thread(), token = block_y();
    if (column >= parameters.output_stride) return;
    float value = 0;
    if (column < parameters.width) {
        const float *input = reinterpret_cast<const float *>(parameters.input) + u64(token) * 2 * parameters.width;
        const float gate = load(input + column), up = load(input + parameters.width + column);
        value = gate / (1 + exp2_approximate(-log2_e * gate)) * up;
    }
    u16 *output = reinterpret_cast<u16 *>(parameters.output) + u64(token) * parameters.output_stride;
    store(output + column, static_cast<u16>(Element::pack(value, 0)));
}

}  // namespace

GPU_KERNEL(multiply_gate_f16, FLASH_GPU_STEP_THREADS, flash_gpu_gate) { multiply_gate<F16>(parameters); }
GPU_KERNEL(multiply_gate_bf16, FLASH_GPU_STEP_THREADS, flash_gpu_gate) { multiply_gate<BF16>(parameters); }
