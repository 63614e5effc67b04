// The order of a stream's kernels, where each may begin before the one before it has ended.
#pragma once

#include "gpu.cuh"

namespace gpu {

// What a kernel that reads nothing but other kernels' results does before anything else. Its blocks are on their
// multiprocessors by the time the kernel before it ends, and those of the next one are by the time it ends itself: what
// passes from kernel to kernel is one wait, not a launch.
GPU_FUNCTION void take_turn() {
    let_next_kernel_begin();
    wait_for_kernel_before();
}

}  // namespace gpu
