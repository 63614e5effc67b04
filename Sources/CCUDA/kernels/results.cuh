// What becomes of a block's sums: the output, or a share of it that the last slice adds up.
#pragma once

#include "arrivals.cuh"
#include "elements.cuh"
#include "gpu_parameters.h"

namespace gpu {

template <typename Element>
GPU_FUNCTION void store_output(const flash_gpu_product &product, u32 token, u32 row, float value) {
    const u64 index = u64(token) * product.output_stride + row;
    if (product.output_type == FLASH_GPU_OUTPUT_16_BIT) {
        store(reinterpret_cast<u16 *>(product.output) + index, static_cast<u16>(Element::pack(value, 0)));
        return;
    }
    float *output = reinterpret_cast<float *>(product.output) + index;
    // One thread has the element to itself, so adding needs no atomics, and the result is the same in every run.
    store(output, product.output_type == FLASH_GPU_OUTPUT_ADD_F32 ? load(output) + value : value);
}

// Calls `body(token, row, sum)` for each sum of this lane that is inside the matrix. `sums[g]` is what a warp has for
// 16 rows and tokens 8 * g ... of the block, in the order of the tensor cores.
template <int groups, typename Body>
GPU_FUNCTION void for_each_sum(
    const flash_gpu_product &product, u32 panel, const float (&sums)[groups][4], Body body) {
#pragma unroll
    for (int group = 0; group < groups; group++) {
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const u32 row = panel * FLASH_GPU_PANEL_ROWS + lane() / 4 + index / 2 * 8;
            const u32 token = (block_y() * groups + group) * 8 + lane() % 4 * 2 + index % 2;
            if (row < product.rows && token < product.tokens) body(token, row, sums[group][index]);
        }
    }
}

// Writes or adds up the sums of a warp with panel `panel`; `shared` is memory that nobody uses any more.
template <typename Element, int groups>
GPU_FUNCTION void finish(const flash_gpu_product &product, u32 panel, const float (&sums)[groups][4], Shared shared) {
    if (grid_z() == 1) {
        for_each_sum(product, panel, sums, [&](u32 token, u32 row, float sum) {
            store_output<Element>(product, token, row, sum);
        });
        return;
    }
    float *partials = reinterpret_cast<float *>(product.partials);
    const u64 slice_size = u64(product.tokens) * product.rows;
    for_each_sum(product, panel, sums, [&](u32 token, u32 row, float sum) {
        store(partials + block_z() * slice_size + u64(token) * product.rows + row, sum);
    });
    u32 *arrivals = reinterpret_cast<u32 *>(product.arrivals) + block_y() * grid_x() + block_x();
    if (!arrives_last(arrivals, grid_z(), shared)) return;
    for_each_sum(product, panel, sums, [&](u32 token, u32 row, float) {
        float total = 0;
        for (u32 slice = 0; slice < grid_z(); slice++) {
            total += load_fresh(partials + slice * slice_size + u64(token) * product.rows + row);
        }
        store_output<Element>(product, token, row, total);
    });
}

}  // namespace gpu
