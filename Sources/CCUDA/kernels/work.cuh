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

// Which part of a block's piece a warp has: a band of the rows, and, with several slices, a stretch of the columns, of
// which the last may be shorter or empty. A row block is as many times lower then, and as many times fewer blocks share
// it: small matrices would be cut into so many shares that adding these up took longer than the product.
template <typename Weights, int slices>
struct Place {
    static constexpr int bands = FLASH_GPU_BLOCK_THREADS / warp_lanes / slices;
    static constexpr u32 block_rows = bands * Weights::panels * FLASH_GPU_PANEL_ROWS;

    u32 slice;
    u32 slice_steps;  // of the longest one
    u32 band;
    Piece piece;      // what is left of the block's piece
    bool active;      // whether that is anything

    GPU_FUNCTION Place(const flash_gpu_product &product, const Piece &whole) : piece(whole) {
        slice = warp() / bands;
        slice_steps = (whole.steps + slices - 1) / slices;
        band = whole.row_block * bands + warp() % bands;
        const u32 before = slice * slice_steps;
        active = Weights::is_shared || (band * Weights::panels * FLASH_GPU_PANEL_ROWS < product.rows
                                        && before < whole.steps);
        // A warp without anything to do goes along, on weights that are there.
        if (!active) band = 0;
        if (!active || slices == 1) return;
        piece.first_step += before;
        piece.steps = whole.steps - before < slice_steps ? whole.steps - before : slice_steps;
    }
};

// The steps of all row blocks, one row block behind the other, are cut into as many equal shares as there are blocks. A
// share begins and ends in the middle of a row block as a rule: several blocks then have pieces of it, and the last one
// that comes adds these up (results.cuh). Blocks that have a row block each would leave multiprocessors idle in the
// last wave, a third of the time for many shapes.
//
// A block that gets to another row block has a second piece to begin and to end: as if each row block were some steps
// longer, which nobody has to do. Places count these, too.
struct Work {
    u32 all_steps;  // of a row block
    u32 row_blocks;
    u32 blocks;
    u32 extra;      // places of a row block before its first step
    u32 length;     // places of a row block

    GPU_FUNCTION Work(const flash_gpu_product &product, u32 block_rows, u32 slices = 1) {
        all_steps = (product.columns + FLASH_GPU_STEP_COLUMNS - 1) / FLASH_GPU_STEP_COLUMNS;
        row_blocks = (product.rows + block_rows - 1) / block_rows;
        blocks = grid_x();
        // Small shares need not be equal, and those of whole row blocks have one piece each.
        const u32 quarter = blocks % row_blocks == 0 ? 0 : all_steps * row_blocks / blocks / 4;
        extra = quarter < FLASH_GPU_PIECE_STEPS * slices ? quarter : FLASH_GPU_PIECE_STEPS * slices;
        length = all_steps + extra;
    }

    // Calls `body(piece)` for what this block has to do, in order.
    template <typename Body>
    GPU_FUNCTION void for_each_piece(Body body) const {
        const u32 first = begin(block_x()), end = begin(block_x() + 1);
        for (u32 row_block = first / length; row_block * length < end; row_block++) {
            Piece piece;
            piece.row_block = row_block;
            piece.first_step = step(first > row_block * length ? first - row_block * length : 0);
            piece.steps = step(end - row_block * length) - piece.first_step;
            if (piece.steps > 0) body(piece);
        }
    }

    // The place with which block `block`'s share begins.
    GPU_FUNCTION u32 begin(u32 block) const { return static_cast<u32>(u64(block) * (length * row_blocks) / blocks); }

    // The first step that is not before a place of its row block.
    GPU_FUNCTION u32 step(u32 place) const {
        const u32 step = place > extra ? place - extra : 0;
        return step < all_steps ? step : all_steps;
    }

    // Whose share step `step` of a row block is.
    GPU_FUNCTION u32 block_of(u32 row_block, u32 step) const {
        const u32 place = row_block * length + extra + step;
        return static_cast<u32>((u64(place + 1) * blocks - 1) / (length * row_blocks));
    }

    // Where the sums of block `block`'s piece of a row block go: to the first of its two places if its share begins in
    // that row block.
    GPU_FUNCTION u32 share(u32 block, u32 row_block) const {
        return 2 * block + (begin(block) / length == row_block ? 0 : 1);
    }
};

}  // namespace gpu
