// Sums of a whole block.
#pragma once

#include "gpu.cuh"

namespace gpu {

// The sum of all threads' values, in an order that does not depend on when they run; every thread gets it. `shared` is
// 4 bytes for each warp that nobody uses any more. All threads take part, in whole warps.
GPU_FUNCTION float block_sum(float value, Shared shared) {
#pragma unroll
    for (u32 bits = warp_lanes / 2; bits > 0; bits /= 2) value += shuffle_xor(value, bits);
    // All lanes ask for the warp's number together.
    const Shared own = shared + 4 * warp();
    if (lane() == 0) store_shared(own, value);
    block_barrier();
    float sum = 0;
    for (u32 index = 0; index < block_threads() / warp_lanes; index++) sum += load_shared<float>(shared + 4 * index);
    return sum;
}

}  // namespace gpu
