// Work that several blocks share and the last one of them finishes.
#pragma once

#include "gpu.cuh"

namespace gpu {

// Whether this block is the last of `parties` blocks that arrive at `counter`, which is zero before and after. All
// threads take part, with what they wrote for the last block behind them; `flag` is a word of shared memory that
// nobody uses any more.
GPU_FUNCTION bool arrives_last(u32 *counter, u32 parties, Shared flag) {
    block_barrier();
    if (thread() == 0) {
        // What this block wrote is there before it counts as arrived, and what the others wrote is there when they
        // have.
        device_fence();
        const u32 earlier = atomic_add(counter, 1u);
        device_fence();
        // Zero again for the next kernel: nobody else will look.
        if (earlier + 1 == parties) store(counter, 0u);
        store_shared<u32>(flag, earlier + 1 == parties);
    }
    block_barrier();
    return load_shared<u32>(flag) != 0;
}

}  // namespace gpu
