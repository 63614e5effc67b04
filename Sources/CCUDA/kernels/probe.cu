// A kernel that adds a number: the driver layer, the compiler and the cache are tried with it.
#include "gpu.cuh"
#include "gpu_parameters.h"

using namespace gpu;

GPU_KERNEL(probe_add, 256, flash_gpu_probe) {
    const u32 index = block_x() * block_threads() + thread();
    if (index < parameters.count) {
        const u32 *input = reinterpret_cast<const u32 *>(parameters.input);
        store(reinterpret_cast<u32 *>(parameters.output) + index, load(input + index) + parameters.addend);
    }
}
