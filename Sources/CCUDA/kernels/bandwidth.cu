// Reads memory as fast as it can be read: what the kernels of products, which wait for weights, are held against.
#include "gpu.cuh"
#include "gpu_parameters.h"

using namespace gpu;

GPU_KERNEL(bandwidth_read, FLASH_GPU_BANDWIDTH_THREADS, flash_gpu_bandwidth) {
    const Words4 *input = reinterpret_cast<const Words4 *>(parameters.input);
    u32 sum = 0;
    for (u64 first = u64(block_x()) * FLASH_GPU_BANDWIDTH_VECTORS; first < parameters.vectors;
         first += u64(grid_x()) * FLASH_GPU_BANDWIDTH_VECTORS) {
        Words4 words[FLASH_GPU_BANDWIDTH_AHEAD];
#pragma unroll
        for (int index = 0; index < FLASH_GPU_BANDWIDTH_AHEAD; index++) {
            words[index] = load_streaming(input + first + index * FLASH_GPU_BANDWIDTH_THREADS + thread());
        }
#pragma unroll
        for (int index = 0; index < FLASH_GPU_BANDWIDTH_AHEAD; index++) {
            sum += words[index].x + words[index].y + words[index].z + words[index].w;
        }
    }
    // The sums keep the loads, and the host can check them.
    store(reinterpret_cast<u32 *>(parameters.output) + block_x() * FLASH_GPU_BANDWIDTH_THREADS + thread(), sum);
}
