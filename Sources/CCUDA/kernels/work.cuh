// Who computes what of a product: the same share for every block, and hardly any waiting at the end.
#pragma once

#include "gpu.cuh"
#include "gpu_parameters.h"

namespace gpu {

// What a block does in one go: some steps of a row block.
struct Piece {
    u32 row_block;
    u32 first_step;
    u32 steps;
};

// The steps of all row blocks, one row block behind the other, are cut into as many equal shares as there are blocks. A
// share begins and ends in the middle of a row block as a rule: several blocks then have pieces of it, and the last one
// that comes adds these up (results.cuh). Blocks that have a row block each would leave multiprocessors idle in the
// last wave, a third of the time for many shapes.
struct Work {
    u32 all_steps;   // of a row block
    u32 row_blocks;
    u32 blocks;

    GPU_FUNCTION Work(const flash_gpu_product &product, u32 block_rows) {
        all_steps = (product.columns + FLASH_GPU_STEP_COLUMNS - 1) / FLASH_GPU_STEP_COLUMNS;
        row_blocks = (product.rows + block_rows - 1) / block_rows;
        blocks = grid_x();
    }

    // Calls `body(piece)` for what this block has to do, in order.
    template <typename Body>
    GPU_FUNCTION void for_each_piece(Body body) const {
        const u32 end = first_step(block_x() + 1);
        for (u32 step = first_step(block_x()); step < end;) {
            Piece piece;
            piece.row_block = step / all_steps;
            piece.first_step = step % all_steps;
            const u32 left = all_steps - piece.first_step;
            piece.steps = left < end - step ? left : end - step;
            body(piece);
            step += piece.steps;
        }
    }

    // The first step of block `block`'s share, counted through all row blocks.
    GPU_FUNCTION u32 first_step(u32 block) const {
        return static_cast<u32>(u64(block) * (all_steps * row_blocks) / blocks);
    }

    // Whose share step `step` is.
    GPU_FUNCTION u32 block_of(u32 step) const {
        return static_cast<u32>((u64(step + 1) * blocks - 1) / (all_steps * row_blocks));
    }

    // Where the sums of block `block`'s piece of a row block go: to the first of its two places if its share begins in
    // that row block.
    GPU_FUNCTION u32 share(u32 block, u32 row_block) const {
        return 2 * block + (first_step(block) / all_steps == row_block ? 0 : 1);
    }
};

}  // namespace gpu
