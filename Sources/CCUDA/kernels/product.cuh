// The product of packed weights and a few activations, for every format: load as sparse, compute as dense.
//
// A block of eight warps computes some rows by `tokens` tokens over some of the columns, 64 columns a step. A warp has
// a band of one or more panels of 16 rows, or a slice of the columns of one: it expands its own weights, which no other
// warp sees, into the fragments that tensor cores take. Activations are shared by the block and come by asynchronous
// copies, a chunk of steps ahead.
#pragma once

#include "activations.cuh"
#include "elements.cuh"
#include "expansion.cuh"
#include "gpu_parameters.h"
#include "results.cuh"

// Defines a kernel of products, of whose blocks `blocks` are to fit a multiprocessor.
#define GPU_PRODUCT_KERNEL(name, blocks) \
    GPU_KERNEL_OF_BLOCKS(name, FLASH_GPU_BLOCK_THREADS, blocks, flash_gpu_product)

// Blocks with some 100 KB of shared memory that are to fit a multiprocessor. Before Hopper there is room for one.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 900
#define GPU_LARGE_BLOCKS(tokens) 1
#else
#define GPU_LARGE_BLOCKS(tokens) ((tokens) > 32 ? 1 : 2)
#endif

// Ends a file of product kernels: all of them, by the file's own KERNELS(tokens, slices), SLICED, which are those of
// several slices, and EXPANSION. The host compiles the one kernel that it needs, in a tenth of the time.
#ifdef FLASH_GPU_INSTANCE
#define GPU_PRODUCT_INSTANCES FLASH_GPU_INSTANCE
#else
#define GPU_PRODUCT_INSTANCES KERNELS(8, 1) KERNELS(16, 1) KERNELS(32, 1) KERNELS(64, 1) SLICED EXPANSION
#endif

namespace gpu {

// The tensor cores' part of a step: adds its products to `sums`.
//
// `Weights` is a format: what one warp knows of its band.
//     Weights(product, work, piece, band, shared)
//                                         begins to load the piece's first weights
//     start(piece)                        what takes waiting for them
//     fetch(stage)                        begins to load the next step's weights, `stages` - 1 steps ahead
//     prepare(stage)                      makes the next step's weights ready
//     take(stage, panel, half, fragments) gives two fragments of them, columns 32 * half ... of a panel; halves come in
//                                         order, and all panels for each
//     release(stage)                      after the last of them
//     panels                              of a band
//     stages                              steps whose weights are in shared memory or on the way there
//     by_rows                             whether fragments have columns in runs of eight (activations.cuh)
//     chunk_bytes                         a chunk of activations, about
//     warp_bytes                          its shared memory
//     is_shared                           whether the block's warps expand together, also those behind the last row
template <typename Element, typename Weights, typename Inputs, int panels, int groups>
GPU_FUNCTION void accumulate(
    float (&sums)[panels][groups][4], Weights &weights, u32 stage, const Inputs &inputs, u32 offset) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
        u32 fragments[panels][2][4];
#pragma unroll
        for (int panel = 0; panel < panels; panel++) weights.take(stage, panel, half, fragments[panel]);
#pragma unroll
        for (int group = 0; group < groups; group++) {
            u32 words[4];
            inputs.load(words, offset, group, half);
#pragma unroll
            for (int panel = 0; panel < panels; panel++) {
                Element::multiply(sums[panel][group], fragments[panel][0], words[0], words[1]);
                Element::multiply(sums[panel][group], fragments[panel][1], words[2], words[3]);
            }
        }
    }
}

// Multiplies one piece of a block's share.
template <typename Weights, typename Element, int tokens, int slices>
GPU_FUNCTION void multiply(const flash_gpu_product &product, const Work &work, const Piece &piece) {
    using Inputs =
        Activations<tokens, FLASH_GPU_CHUNK_STEPS(Weights::chunk_bytes, tokens, slices), slices, Weights::by_rows>;
    constexpr int chunk_steps = Inputs::chunk_steps;
    constexpr int groups = tokens / 8;
    constexpr int panels = Weights::panels;
    constexpr int stages = Weights::stages;
    const Place<Weights, slices> own(product, piece);
    const u32 steps = own.piece.steps;

    // Weights come first, and may count on multiples of 1024.
    const Shared shared = shared_base();
    const Shared activations = shared + FLASH_GPU_BLOCK_THREADS / warp_lanes * Weights::warp_bytes;
    Weights weights(product, work, own.piece, own.band, shared + warp() * Weights::warp_bytes);
    Inputs inputs(
        product, piece.first_step * FLASH_GPU_STEP_COLUMNS, own.slice_steps * FLASH_GPU_STEP_COLUMNS, own.slice,
        activations);

    // Groups of copies are counted by steps: one for each, and it may be empty. Weights may have more of their own:
    // what a step waits for is there even sooner then.
#pragma unroll
    for (u32 stage = 0; stage < stages - 1; stage++) {
        if (own.active && stage < steps) weights.fetch(stage);
        copy_async_commit();
    }
    // Weights are there before the kernel before this one has ended, activations are not.
    wait_for_kernel_before();
    inputs.fetch(0);
    copy_async_commit();
    if (own.active) weights.start(own.piece);
    float sums[panels][groups][4] = {};
    u32 place = 1;
    u32 offset = 0;
    u32 stage = 0;
    // The first chunk came last of all.
    copy_async_wait<0>();
    // Without slices the same number, in one register: some kernels have none left.
    const u32 longest = slices == 1 ? steps : own.slice_steps;
    for (u32 step = 0; step < longest; step++) {
        // The step's weights are there, and its chunk, which was begun with the weights of `chunk_steps` steps ago.
        static_assert(chunk_steps >= stages - 1);
        copy_async_wait<stages - 2>();
        if (step % chunk_steps == 0) {
            // What landed is everybody's, and the chunk that was read is free.
            block_barrier();
            place ^= 1;
            offset = place * Inputs::chunk_bytes;
            if (step + chunk_steps < longest) inputs.fetch(place ^ 1);
        } else if (Weights::is_shared) {
            block_barrier();
        } else {
            warp_barrier();
        }
        if (own.active && (slices == 1 || step < steps)) {
            if (step + stages - 1 < steps) weights.fetch(stage == 0 ? stages - 1 : stage - 1);
            copy_async_commit();
            weights.prepare(stage);
            accumulate<Element>(sums, weights, stage, inputs, offset);
            weights.release(stage);
        } else {
            copy_async_commit();
        }
        offset += Inputs::step_bytes;
        stage = stage + 1 == stages ? 0 : stage + 1;
    }
    copy_async_wait<0>();
    block_barrier();
    finish<Element, slices>(product, work, piece, sums, shared, activations + 2 * Inputs::chunk_bytes);
}

// A block's share of a product.
template <typename Weights, typename Element, int tokens, int slices>
GPU_FUNCTION void multiply(const flash_gpu_product &product) {
    let_next_kernel_begin();
    const Work work(product, Place<Weights, slices>::block_rows, slices);
    work.for_each_piece([&](const Piece &piece) { multiply<Weights, Element, tokens, slices>(product, work, piece); });
}

}  // namespace gpu
