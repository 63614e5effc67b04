// The residual stream as products take it: normalised, and what else happens to it at that point.
#include "elements.cuh"
#include "gpu_parameters.h"
#include "reductions.cuh"

using namespace gpu;

namespace {

// One row of the stream. A thread has every `block_threads()`-th column, of reading and of writing.
struct Row {
    const flash_gpu_norm &parameters;
    float *values;

    GPU_FUNCTION explicit Row(const flash_gpu_norm &parameters) : parameters(parameters) {
        const u32 row = block_x();
        const auto *places = reinterpret_cast<const i32 *>(parameters.places);
        const u32 token = parameters.places == 0 ? row : u32(load(places + row));
        values = reinterpret_cast<float *>(parameters.input) + u64(token) * parameters.width;
    }

    // A number of a vector that there may not be.
    GPU_FUNCTION static float optional(u64 vector, u32 column) {
        return vector == 0 ? 0.0f : load(reinterpret_cast<const float *>(vector) + column);
    }

    GPU_FUNCTION float addend(u32 column) const { return optional(parameters.addend, column); }

    // What is normalised.
    GPU_FUNCTION float value(u32 column) const {
        const float value = load(values + column);
        return parameters.is_behind ? value + addend(column) : value;
    }

    // The mean of all columns' squares of what lies above `base`, or, where `power` is 1, of that itself.
    template <int power>
    GPU_FUNCTION float mean(float base, Shared shared) const {
        float sum = 0;
        for (u32 column = thread(); column < parameters.width; column += block_threads()) {
            const float above = value(column) - base;
            sum = power == 2 ? fused_multiply_add(above, above, sum) : sum + above;
        }
        return block_sum(sum, shared) / float(parameters.width);
    }
};

template <typename Element>
GPU_FUNCTION void normalize(const flash_gpu_norm &parameters) {
    const Row row(parameters);
    const u32 width = parameters.width, kind = parameters.kind;
    float base = 0, factor = 1;
    // The second sum has memory of its own: threads may still be reading the first.
    if (kind == FLASH_GPU_NORM_LAYER) base = row.mean<1>(0, shared_base());
    if (kind != FLASH_GPU_NORM_NONE) {
        const float square = row.mean<2>(base, shared_base() + 4 * FLASH_GPU_STEP_THREADS / warp_lanes);
        factor = reciprocal_square_root(square + parameters.epsilon);
    }
    const float *weight = reinterpret_cast<const float *>(parameters.weight);
    u16 *output = reinterpret_cast<u16 *>(parameters.output) + u64(block_x()) * parameters.output_stride;
    // The row comes from the cache this time.
    for (u32 column = thread(); column < parameters.output_stride; column += block_threads()) {
        float result = 0;
        if (column < width) {
            const float value = row.value(column);
            result = kind == FLASH_GPU_NORM_NONE ? value : (value - base) * factor * load(weight + column);
            result += Row::optional(parameters.bias, column);
            if (parameters.is_behind) {
                store(row.values + column, result);
            } else if (parameters.addend != 0) {
                store(row.values + column, value + row.addend(column));
            }
        }
        store(output + column, static_cast<u16>(Element::pack(result, 0)));
    }
}

}  // namespace

GPU_KERNEL(normalize_f16, FLASH_GPU_STEP_THREADS, flash_gpu_norm) { normalize<F16>(parameters); }
GPU_KERNEL(normalize_bf16, FLASH_GPU_STEP_THREADS, flash_gpu_norm) { normalize<BF16>(parameters); }
