// Rows of a table become the residual stream, or are added to it.
#include "elements.cuh"
#include "gpu_parameters.h"
#include "turns.cuh"

using namespace gpu;

namespace {

template <typename Element>
GPU_FUNCTION void embed(const flash_gpu_embedding &parameters) {
    take_turn();
    const u32 token = block_x();
    const u32 row =
        u32(load(reinterpret_cast<const i32 *>(parameters.places) + token)) + parameters.first_row;
    const u16 *from = reinterpret_cast<const u16 *>(parameters.table) + u64(row) * parameters.table_stride;
    float *to = reinterpret_cast<float *>(parameters.hidden) + u64(token) * parameters.width;
    for (u32 column = thread(); column < parameters.width; column += block_threads()) {
        const float value = parameters.scale * Element::widen(load(from + column));
        store(to + column, parameters.adds ? load(to + column) + value : value);
    }
}

}  // namespace

GPU_KERNEL(embed_f16, FLASH_GPU_STEP_THREADS, flash_gpu_embedding) { embed<F16>(parameters); }
GPU_KERNEL(embed_bf16, FLASH_GPU_STEP_THREADS, flash_gpu_embedding) { embed<BF16>(parameters); }
