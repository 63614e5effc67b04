// Packed weights as the dense matrix that they stand for, in global memory: with many tokens dense products pay, and
// those of a library are the fastest.
#pragma once

#include "gpu.cuh"
#include "gpu_parameters.h"
#include "work.cuh"

// Defines a kernel that expands a format's weights. Of its parameters it reads weights, rows and columns, and writes to
// `output`, 16-bit [rows, output_stride], the stride a multiple of 8; what fills up rows becomes zero.
#define GPU_EXPANSION_KERNEL(name) GPU_KERNEL(name, FLASH_GPU_BLOCK_THREADS, flash_gpu_product)

namespace gpu {

// Stores two fragments, of 32 columns from `column` on, as they lie in the matrix.
template <bool by_rows>
GPU_FUNCTION void store_dense(
    const flash_gpu_product &product, u32 panel, u32 column, const u32 (&fragments)[2][4]) {
    u16 *output = reinterpret_cast<u16 *>(product.output);
#pragma unroll
    for (int part = 0; part < 2; part++) {
        const u32 row = panel * FLASH_GPU_PANEL_ROWS + lane() / 4 + part * 8;
        if (row >= product.rows) return;
        u16 *to = output + u64(row) * product.output_stride;
        if constexpr (by_rows) {
            const u32 first = column + lane() % 4 * 8;
            if (first >= product.output_stride) continue;
            const Words4 words = {
                fragments[0][part], fragments[0][2 + part], fragments[1][part], fragments[1][2 + part]};
            store(reinterpret_cast<Words4 *>(to + first), words);
        } else {
#pragma unroll
            for (int index = 0; index < 4; index++) {
                const u32 first = column + index * 8 + lane() % 4 * 2;
                if (first >= product.output_stride) continue;
                store(reinterpret_cast<u32 *>(to + first), fragments[index / 2][index % 2 * 2 + part]);
            }
        }
    }
}

// Expands a piece of a block's share.
template <typename Weights>
GPU_FUNCTION void expand(const flash_gpu_product &product, const Work &work, const Piece &piece) {
    constexpr int panels = Weights::panels, stages = Weights::stages;
    const u32 band = piece.row_block * (FLASH_GPU_BLOCK_THREADS / warp_lanes) + warp();
    const bool active = Weights::is_shared || band * panels * FLASH_GPU_PANEL_ROWS < product.rows;
    Weights weights(product, work, piece, active ? band : 0, shared_base() + warp() * Weights::warp_bytes);
#pragma unroll
    for (u32 stage = 0; stage < stages - 1; stage++) {
        if (active && stage < piece.steps) weights.fetch(stage);
        copy_async_commit();
    }
    if (active) weights.start(piece);
    u32 stage = 0;
    for (u32 step = 0; step < piece.steps; step++) {
        copy_async_wait<stages - 2>();
        if (Weights::is_shared) {
            block_barrier();
        } else {
            warp_barrier();
        }
        if (active && step + stages - 1 < piece.steps) weights.fetch(stage == 0 ? stages - 1 : stage - 1);
        copy_async_commit();
        if (active) {
            weights.prepare(stage);
            const u32 column = (piece.first_step + step) * FLASH_GPU_STEP_COLUMNS;
#pragma unroll
            for (int index = 0; index < 2 * panels; index++) {
                u32 fragments[2][4];
                weights.take(stage, index % panels, index / panels, fragments);
                store_dense<Weights::by_rows>(
                    product, band * panels + index % panels, column + index / panels * 32, fragments);
            }
            weights.release(stage);
        }
        stage = stage + 1 == stages ? 0 : stage + 1;
    }
    copy_async_wait<0>();
    block_barrier();
}

// Expands a block's share.
template <typename Weights>
GPU_FUNCTION void expand(const flash_gpu_product &product) {
    const Work work(product, FLASH_GPU_BLOCK_THREADS / warp_lanes * Weights::panels * FLASH_GPU_PANEL_ROWS);
    work.for_each_piece([&](const Piece &piece) { expand<Weights>(product, work, piece); });
}

}  // namespace gpu
