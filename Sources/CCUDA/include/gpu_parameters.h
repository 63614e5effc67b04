#ifndef FLASH_LLM_GPU_PARAMETERS_H
#define FLASH_LLM_GPU_PARAMETERS_H

// What the host passes to kernels, one struct for each family. Read by the C compiler for the host and by NVRTC for the
// device, so it includes nothing: `unsigned long long` is a device address, and every field lies at a multiple of its
// size.

// output[i] = input[i] + addend: the least kernel, with which the driver layer is tried.
struct flash_gpu_probe {
    unsigned long long input;   // unsigned int [count]
    unsigned long long output;  // unsigned int [count]
    unsigned int count;
    unsigned int addend;
};

// Reads a stretch of memory once, to measure how fast that can be. Block b's threads leave the sums, modulo 2^32, of
// the words that they have read.
struct flash_gpu_bandwidth {
    unsigned long long input;    // unsigned int [vectors, 4]
    unsigned long long output;   // unsigned int [blocks, threads of a block]
    unsigned long long vectors;  // of 16 bytes, a multiple of FLASH_GPU_BANDWIDTH_VECTORS
};

enum {
    FLASH_GPU_BANDWIDTH_THREADS = 512,
    // Vectors that a thread loads before it uses the first: 64 KB of a block are under way.
    FLASH_GPU_BANDWIDTH_AHEAD = 8,
    // What a block reads in one turn.
    FLASH_GPU_BANDWIDTH_VECTORS = FLASH_GPU_BANDWIDTH_THREADS * FLASH_GPU_BANDWIDTH_AHEAD
};

enum flash_gpu_output { FLASH_GPU_OUTPUT_F32 = 0, FLASH_GPU_OUTPUT_16_BIT = 1 };

enum {
    // Products go over the columns in steps of so many, and a block computes so many rows.
    FLASH_GPU_STEP_COLUMNS = 64,
    FLASH_GPU_BLOCK_ROWS = 128,
    FLASH_GPU_BLOCK_THREADS = 256,
    // Rows of a panel: of one warp, of one tensor-core instruction.
    FLASH_GPU_PANEL_ROWS = 16,
    // Steps that are in shared memory or on the way there. Two that are under way are 4 KB of dense weights for each
    // warp, while an access takes its 700 ns; a fourth stage would leave room for two blocks of gap streams in a
    // multiprocessor's 228 KB instead of three.
    FLASH_GPU_STAGES = 3,
    // Places of the ring into which a warp expands a gap stream.
    FLASH_GPU_RING_PLACES = 4096,

    // Shared memory of a block: what aligning it to 2048 bytes costs,
    FLASH_GPU_ALIGNMENT_BYTES = 1024,
    // for the activations, in every stage, so much for each token,
    FLASH_GPU_ACTIVATION_BYTES = 2 * FLASH_GPU_STEP_COLUMNS,
    // and for the weights, by format, so much for each warp.
    FLASH_GPU_DENSE_WARP_BYTES = FLASH_GPU_STAGES * 2 * FLASH_GPU_PANEL_ROWS * FLASH_GPU_STEP_COLUMNS,
    FLASH_GPU_BITMAP_WARP_BYTES = FLASH_GPU_STAGES * 2 * FLASH_GPU_PANEL_ROWS * FLASH_GPU_STEP_COLUMNS,
    FLASH_GPU_TILED_CSL_WARP_BYTES = 2 * 2 * FLASH_GPU_PANEL_ROWS * FLASH_GPU_STEP_COLUMNS,
    FLASH_GPU_GAP_STREAM_WARP_BYTES = 2 * FLASH_GPU_RING_PLACES
};

// output[t, r] = sum over k of weights[r, k] * input[t, k].
//
// The grid is [row blocks, blocks of tokens, slices of the columns]. With one slice a block writes its part of the
// output. With more, each writes float32 sums into `partials`, and the last of the slices of a part, which `arrivals`
// tells, adds them in the order of the slices: results do not depend on who comes last.
struct flash_gpu_product {
    // What the weights consist of, by format: see the kernels.
    unsigned long long weights[3];
    unsigned long long input;     // 16-bit [tokens, input_stride]; columns up to a multiple of 8 are zero
    unsigned long long output;    // [tokens, output_stride] of the type `output_type`
    unsigned long long partials;  // float [slices, tokens, rows]; not used with one slice
    unsigned long long arrivals;  // unsigned int [row blocks * blocks of tokens], zero before and after
    unsigned int rows, columns, tokens;
    unsigned int input_stride;   // elements, a multiple of 8
    unsigned int output_stride;  // elements
    unsigned int output_type;    // enum flash_gpu_output
    unsigned int slice_steps;    // steps of FLASH_GPU_STEP_COLUMNS columns in one slice
    unsigned int segment_steps;  // steps in a segment of a gap stream; a divisor of slice_steps
};

#endif
