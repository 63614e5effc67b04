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

namespace gpu {

constexpr int stages = FLASH_GPU_STAGES;

// `Weights` is a format: what one warp knows of its panel.
//     Weights(product, panel, shared)     begins at the slice's first step
//     fetch(step, stage)                  starts to load a step's weights, `stages` - 1 steps ahead; may be empty
//     expand(step, stage, fragments)      gives the step's four fragments
//     warp_bytes                          its shared memory
//     is_shared                           whether the block's warps expand together, also those behind the last row
template <typename Weights, typename Element, int tokens>
GPU_FUNCTION void multiply(const flash_gpu_product &product) {
    using Inputs = Activations<tokens>;
    constexpr int groups = tokens / 8;
    const u32 panel = block_x() * (FLASH_GPU_BLOCK_ROWS / FLASH_GPU_PANEL_ROWS) + warp();
    const bool active = Weights::is_shared || panel * FLASH_GPU_PANEL_ROWS < product.rows;
    const Shared inputs = shared_base();
    Weights weights(product, active ? panel : 0, inputs + stages * Inputs::stage_bytes + warp() * Weights::warp_bytes);

    const u32 steps = (product.columns + FLASH_GPU_STEP_COLUMNS - 1) / FLASH_GPU_STEP_COLUMNS;
    const u32 first = block_z() * product.slice_steps;
    const u32 end = first + product.slice_steps < steps ? first + product.slice_steps : steps;

    float sums[groups][4] = {};
#pragma unroll
    for (u32 ahead = 0; ahead < stages - 1; ahead++) {
        if (first + ahead < end) {
            Inputs::fetch(product, first + ahead, inputs + ahead * Inputs::stage_bytes);
            if (active) weights.fetch(first + ahead, ahead);
        }
        copy_async_commit();
    }
    for (u32 step = first; step < end; step++) {
        const u32 stage = (step - first) % stages;
        copy_async_wait<stages - 2>();
        // What landed is everybody's, and the stage that was read a step ago is free.
        block_barrier();
        const u32 next = step + stages - 1;
        if (next < end) {
            const u32 next_stage = (next - first) % stages;
            Inputs::fetch(product, next, inputs + next_stage * Inputs::stage_bytes);
            if (active) weights.fetch(next, next_stage);
        }
        copy_async_commit();
        if (!active) continue;
        u32 fragments[4][4];
        weights.expand(step, stage, fragments);
#pragma unroll
        for (int half = 0; half < 2; half++) {
#pragma unroll
            for (int group = 0; group < groups; group++) {
                u32 words[4];
                Inputs::load(words, inputs + stage * Inputs::stage_bytes, group, half);
                Element::multiply(sums[group], fragments[2 * half], words[0], words[1]);
                Element::multiply(sums[group], fragments[2 * half + 1], words[2], words[3]);
            }
        }
    }
    copy_async_wait<0>();
    block_barrier();
    finish<Element>(product, panel, sums, inputs);
}

}  // namespace gpu
