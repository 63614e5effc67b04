// Root-mean-square norm of the residual stream, as products take it.
#include "elements.cuh"
#include "gpu_parameters.h"
#include "reductions.cuh"

using namespace gpu;

namespace {

template <typename Element>
GPU_FUNCTION void normalize(const flash_gpu_norm &parameters) {
    const u32 row = block_x(), width = parameters.width;
    const u32 token = parameters.places == 0 ? row : u32(load(reinterpret_cast<const i32 *>(parameters.places) + row));
    const float *input = reinterpret_cast<const float *>(parameters.input) + u64(token) * width;
    const float *weight = reinterpret_cast<const float *>(parameters.weight);
    u16 *output = reinterpret_cast<u16 *>(parameters.output) + u64(row) * parameters.output_stride;
    float squares = 0;
    for (u32 column = thread(); column < width; column += block_threads()) {
        const float value = load(input + column);
        squares = fused_multiply_add(value, value, squares);
    }
    const float sum = block_sum(squares, shared_base());
    const float factor = reciprocal_square_root(sum / float(width) + parameters.epsilon);
    // The input comes from the cache this time.
    for (u32 column = thread(); column < parameters.output_stride; column += block_threads()) {
        const float value = column < width ? load(input + column) * factor * load(weight + column) : 0.0f;
        store(output + column, static_cast<u16>(Element::pack(value, 0)));
    }
}

}  // namespace

GPU_KERNEL(normalize_f16, FLASH_GPU_STEP_THREADS, flash_gpu_norm) { normalize<F16>(parameters); }
GPU_KERNEL(normalize_bf16, FLASH_GPU_STEP_THREADS, flash_gpu_norm) { normalize<BF16>(parameters); }
