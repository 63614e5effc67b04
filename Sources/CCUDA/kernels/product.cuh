// The product of packed weights and a few activations, for every format: load as sparse, compute as dense.
//
// A block of eight warps computes 128 rows by `tokens` tokens over a slice of the columns, 64 columns a step. A warp
// has a panel of 16 rows: it expands its own weights, which no other warp sees, into the fragments that tensor cores
// take. Activations are shared by the block and come by asynchronous copies, `stages` - 1 steps ahead.
#pragma once

#include "activations.cuh"
#include "elements.cuh"
#include "gpu_parameters.h"
#include "results.cuh"

// Defines a kernel of products. Two blocks are to fit a multiprocessor at least; with the sums of 64 tokens, 128
// registers would not do for a gap stream.
#define GPU_PRODUCT_KERNEL(name, tokens) \
    GPU_KERNEL_OF_BLOCKS(name, FLASH_GPU_BLOCK_THREADS, tokens > 32 ? 1 : 2, flash_gpu_product)

// Ends a file of product kernels: all of them, by the file's own KERNELS(tokens). The host compiles the one kernel that
// it needs, in a tenth of the time.
#ifdef FLASH_GPU_INSTANCE
#define GPU_PRODUCT_INSTANCES FLASH_GPU_INSTANCE
#else
#define GPU_PRODUCT_INSTANCES KERNELS(8) KERNELS(16) KERNELS(32) KERNELS(64)
#endif

namespace gpu {

constexpr int stages = FLASH_GPU_STAGES;

// `Weights` is a format: what one warp knows of its panel.
//     Weights(product, panel, shared)     begins at the slice's first step
//     fetch(stage)                        starts to load the next step's weights, `stages` - 1 steps ahead
//     expand(stage, fragments)            gives the next step's four fragments
//     warp_bytes                          its shared memory
//     is_shared                           whether the block's warps expand together, also those behind the last row
template <typename Weights, typename Element, int tokens>
GPU_FUNCTION void multiply(const flash_gpu_product &product) {
    using Inputs = Activations<tokens>;
    constexpr int groups = tokens / 8;
    const u32 panel = block_x() * (FLASH_GPU_BLOCK_ROWS / FLASH_GPU_PANEL_ROWS) + warp();
    const bool active = Weights::is_shared || panel * FLASH_GPU_PANEL_ROWS < product.rows;
    const u32 steps = (product.columns + FLASH_GPU_STEP_COLUMNS - 1) / FLASH_GPU_STEP_COLUMNS;
    const u32 first = block_z() * product.slice_steps;
    u32 left = product.slice_steps < steps - first ? product.slice_steps : steps - first;
    u32 left_to_fetch = left;

    // Weights come first, and may count on multiples of 2048.
    const Shared shared = (shared_base() + 2047) / 2048 * 2048;
    Weights weights(product, active ? panel : 0, shared + warp() * Weights::warp_bytes);
    Inputs inputs(
        product, first * FLASH_GPU_STEP_COLUMNS,
        shared + FLASH_GPU_BLOCK_THREADS / warp_lanes * Weights::warp_bytes);
    const auto fetch = [&](u32 stage) {
        if (left_to_fetch > 0) {
            left_to_fetch -= 1;
            inputs.fetch(stage);
            if (active) weights.fetch(stage);
        }
        copy_async_commit();
    };

    float sums[groups][4] = {};
#pragma unroll
    for (u32 stage = 0; stage < stages - 1; stage++) fetch(stage);
    for (u32 stage = 0; left > 0; left--) {
        copy_async_wait<stages - 2>();
        // What landed is everybody's, and the stage that was read a step ago is free.
        block_barrier();
        fetch(stage == 0 ? stages - 1 : stage - 1);
        if (active) {
            u32 fragments[4][4];
            weights.expand(stage, fragments);
#pragma unroll
            for (int half = 0; half < 2; half++) {
#pragma unroll
                for (int group = 0; group < groups; group++) {
                    u32 words[4];
                    inputs.load(words, stage, group, half);
                    Element::multiply(sums[group], fragments[2 * half], words[0], words[1]);
                    Element::multiply(sums[group], fragments[2 * half + 1], words[2], words[3]);
                }
            }
        }
        stage = stage + 1 == stages ? 0 : stage + 1;
    }
    copy_async_wait<0>();
    block_barrier();
    finish<Element>(product, panel, sums, shared);
}

}  // namespace gpu
