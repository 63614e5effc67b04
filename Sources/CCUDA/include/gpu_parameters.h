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

// Of what type the output of a product is; the last one adds to what is there.
enum flash_gpu_output { FLASH_GPU_OUTPUT_F32 = 0, FLASH_GPU_OUTPUT_16_BIT = 1, FLASH_GPU_OUTPUT_ADD_F32 = 2 };

enum {
    // Products go over the columns in steps of so many. A block is so many threads, whose warps have a band of rows
    // each.
    FLASH_GPU_STEP_COLUMNS = 64,
    FLASH_GPU_BLOCK_THREADS = 256,
    // Slices of columns, at most, into which a block's warps cut a piece between them.
    FLASH_GPU_MOST_SLICES = 4,
    // What beginning another row block costs a block, filling its pipeline and adding up sums, in steps of a warp;
    // measured on an H100.
    FLASH_GPU_PIECE_STEPS = 3,
    // Rows of a panel: of one tensor-core instruction. Panels of a band: one, or two.
    FLASH_GPU_PANEL_ROWS = 16,
    FLASH_GPU_LANE_STREAM_PANELS = 2,
    FLASH_GPU_LANE_BITMAP_PANELS = 2,
    // Steps whose weights, or of lane bitmaps the bits, are in shared memory or on the way there. Two that are under
    // way are 4 KB of dense weights for each warp, while an access takes its 700 ns.
    FLASH_GPU_STAGES = 3,
    // Strips of the ring into which a warp expands a lane stream, and bytes of them for each lane.
    FLASH_GPU_RING_STRIPS = 4,
    FLASH_GPU_RING_LANE_BYTES = FLASH_GPU_RING_STRIPS * 64,
    // Of a lane bitmap: steps of a run; bytes of a step's bits; rows of a warp's window; what a pair of windows is
    // aligned to; groups that are on their way, where there is room and where there is not.
    FLASH_GPU_LANE_BITMAP_RUN_STEPS = 8,
    FLASH_GPU_LANE_BITMAP_STEP_BYTES = 2 * 32 * 4,
    FLASH_GPU_LANE_BITMAP_ROWS = 64,
    FLASH_GPU_LANE_BITMAP_ALIGNMENT = 16384,
    FLASH_GPU_LANE_BITMAP_SLOTS = 4,
    FLASH_GPU_LANE_BITMAP_SMALL_SLOTS = 2,

    // Shared memory of a block: for two chunks of activations, of so many bytes unless there are very many tokens or
    // very few,
    FLASH_GPU_CHUNK_BYTES = 8192,
    FLASH_GPU_LANE_STREAM_CHUNK_BYTES = 16384,
    // in rows of so many bytes for each step and token,
    FLASH_GPU_ACTIVATION_BYTES = 2 * FLASH_GPU_STEP_COLUMNS,
    // a word that blocks tell each other by,
    FLASH_GPU_FLAG_BYTES = 16,
    // and for the weights, by format, so much for each warp.
    FLASH_GPU_DENSE_WARP_BYTES = FLASH_GPU_STAGES * 2 * FLASH_GPU_PANEL_ROWS * FLASH_GPU_STEP_COLUMNS,
    FLASH_GPU_TILED_CSL_WARP_BYTES = 2 * 2 * FLASH_GPU_PANEL_ROWS * FLASH_GPU_STEP_COLUMNS,
    FLASH_GPU_LANE_STREAM_WARP_BYTES = 32 * FLASH_GPU_RING_LANE_BYTES
};

// A lane bitmap's shared memory of a block: bits and groups, and windows from the next aligned address on. A block's
// memory begins with the first kilobyte, or behind that where the system keeps it for itself.
#define FLASH_GPU_LANE_BITMAP_BLOCK_BYTES(slots)                                                                \
    ((8 * (FLASH_GPU_STAGES * FLASH_GPU_LANE_BITMAP_STEP_BYTES + (slots) * 512) + 1024                          \
      + FLASH_GPU_LANE_BITMAP_ALIGNMENT - 1)                                                                    \
         / FLASH_GPU_LANE_BITMAP_ALIGNMENT * FLASH_GPU_LANE_BITMAP_ALIGNMENT                                    \
     + 4 * FLASH_GPU_LANE_BITMAP_ALIGNMENT)

// Steps of a chunk of activations, those of all slices together, 2 to 8 of each: what a block's warps share, and after
// how many they wait for each other.
#define FLASH_GPU_CHUNK_STEPS(chunk_bytes, tokens, slices)                     \
    ((chunk_bytes) >= 8 * (slices) * FLASH_GPU_ACTIVATION_BYTES * (tokens)     \
         ? 8 * (slices)                                                        \
         : (chunk_bytes) <= 2 * (slices) * FLASH_GPU_ACTIVATION_BYTES * (tokens) \
             ? 2 * (slices)                                                    \
             : (chunk_bytes) / (FLASH_GPU_ACTIVATION_BYTES * (tokens)))
#ifndef __CUDACC__
static inline int flash_gpu_chunk_steps(int chunk_bytes, int tokens, int slices) {
    return FLASH_GPU_CHUNK_STEPS(chunk_bytes, tokens, slices);
}
static inline int flash_gpu_lane_bitmap_block_bytes(int slots) { return FLASH_GPU_LANE_BITMAP_BLOCK_BYTES(slots); }
#endif

// output[t, r] = sum over k of weights[r, k] * input[t, k].
//
// The grid is [blocks, blocks of tokens]. The steps of all rows are spread evenly over the blocks (work.cuh). A block
// that has all columns of its rows writes its part of the output. Others write float32 sums into `partials`, and the
// last one that has some of the same rows, which `arrivals` tells, adds them in the order of the columns: results do
// not depend on who comes last.
struct flash_gpu_product {
    // What the weights consist of, by format: see the kernels.
    unsigned long long weights[3];
    unsigned long long input;     // 16-bit [tokens, input_stride]; columns up to a multiple of 8 are zero
    unsigned long long output;    // [tokens, output_stride] of the type `output_type`
    unsigned long long partials;  // float [blocks of tokens, blocks, 2, sums of a block]
    unsigned long long arrivals;  // unsigned int [blocks of tokens, row blocks], zero before and after
    unsigned int rows, columns, tokens;
    unsigned int input_stride;   // elements, a multiple of 8
    unsigned int output_stride;  // elements
    unsigned int output_type;    // enum flash_gpu_output
};

// ---- The steps of a decoder between its products -------------------------------------------------------------------

enum {
    // Tokens of a block of the cache.
    FLASH_GPU_CACHE_TOKENS = 16,
    // Threads of a block of all steps but attention and norms.
    FLASH_GPU_STEP_THREADS = 256,
    // One block has a row of the stream, and a norm is a step that everything waits for.
    FLASH_GPU_NORM_THREADS = 512,
    // Positions from one row of coarse rotations to the next.
    FLASH_GPU_FINE_ROTATIONS = 256,
    // Added to positions in sequences that rotate by the second table.
    FLASH_GPU_LONG_SEQUENCE = 1 << 30,
    // What argmax gives for a row that has no largest number.
    FLASH_GPU_NO_TOKEN = -1
};

// hidden[t, :] = scale * table[places[t] + first_row, :], or += that. The grid is [tokens].
struct flash_gpu_embedding {
    unsigned long long table;   // 16-bit [rows, table_stride]
    unsigned long long places;  // int [tokens], each with first_row in the table
    unsigned long long hidden;  // float [tokens, width]
    unsigned int width;
    unsigned int table_stride;  // elements
    unsigned int first_row;
    unsigned int adds;
    float scale;
    unsigned int unused;
};

// Root mean square: x / sqrt(mean of x^2 + epsilon) * weight + bias; layer: the same of x - mean of x; none: x.
enum flash_gpu_norm_kind { FLASH_GPU_NORM_NONE = 0, FLASH_GPU_NORM_RMS = 1, FLASH_GPU_NORM_LAYER = 2 };

// output[i, :] = norm of x = input[places[i], :]. The grid is [rows].
//
// A norm that stands before a product adds `addend` to the input in passing: the bias of what will be added to it next.
// One that stands behind has x = input + addend, and its result takes the input's place, or is added to `sum`.
struct flash_gpu_norm {
    unsigned long long input;   // float [tokens, width]
    unsigned long long weight;  // float [width]; not read without a norm
    unsigned long long bias;    // float [width]; 0 for none
    unsigned long long addend;  // float [width]; 0 for none
    unsigned long long places;  // int [rows], none twice if the input changes; 0 for the first tokens in order
    unsigned long long output;  // 16-bit [rows, output_stride]; columns from width on become zero; 0 for none
    unsigned long long sum;     // float [tokens, width]; 0 for none
    unsigned int width;
    unsigned int output_stride;  // elements; without an output the width
    float epsilon;
    unsigned int kind;  // flash_gpu_norm_kind
    unsigned int is_behind;
    unsigned int unused;
};

// Adds biases, normalises queries and keys by their root mean square and rotates them by their positions, each where it
// is asked for, and puts keys and values into the cache: elements i and
// i + head_size / 2 of a head are turned by the angle position * frequency i. The grid is [tokens, heads of all three /
// 8].
//
// The rotation of a position is that of its multiple of 256 times that of the rest: two small tables, from double
// precision, in place of one row for each position, and an error of some 2^-23 in place of 2^-24.
struct flash_gpu_rotation {
    unsigned long long projected;  // float [tokens, head_count + 2 * cache_head_count, head_size]: queries, keys and
                                   // values
    unsigned long long rotations;  // float [256 + positions / 256, head_size / 2, 2]: cosines and sines of the
                                   // positions 0, 1, ... 255, then 0, 256, 512, ...; 0 for no rotation
    unsigned long long positions;  // int [tokens], with FLASH_GPU_LONG_SEQUENCE or without
    unsigned long long slots;      // int [tokens]: block * 16 + place in the block
    unsigned long long bias;       // float [head_count + 2 * cache_head_count, head_size]; 0 for none
    unsigned long long query_norm, key_norm;  // float [head_size]; 0 for none
    unsigned long long rotated;    // f16 [tokens, head_count, head_stride]
    unsigned long long cache;      // f16 [blocks, 2, cache_head_count, 16, head_stride]: keys, then values
    unsigned int head_count, cache_head_count;
    unsigned int head_size;
    unsigned int head_stride;  // head_size rounded up to a multiple of 16; elements from head_size on become zero
    float epsilon;             // of the norms
    unsigned int long_row;     // of the rotations, where those of long sequences begin
};

// Gated: gate / (1 + exp(-gate)) * up, or gelu(gate) * up. The others are of one product alone. Gelu with the error
// function, or with tanh.
enum flash_gpu_activation_kind {
    FLASH_GPU_ACTIVATION_GATED_SILU = 0,
    FLASH_GPU_ACTIVATION_RELU = 1,
    FLASH_GPU_ACTIVATION_GELU = 2,
    FLASH_GPU_ACTIVATION_GELU_TANH = 3,
    FLASH_GPU_ACTIVATION_GATED_GELU_TANH = 4
};

// output = activation of input + bias. The grid is [blocks of columns, tokens].
struct flash_gpu_activation {
    unsigned long long input;   // float [tokens, width]; gated: [tokens, 2, width], gate, then up
    unsigned long long bias;    // float, one for each column of the input; 0 for none
    unsigned long long output;  // 16-bit [tokens, output_stride]; columns from width on become zero
    unsigned int width;
    unsigned int output_stride;  // elements
    unsigned int kind;           // flash_gpu_activation_kind
    unsigned int unused;
};

// The place of the largest element of each row, of equal ones the first; FLASH_GPU_NO_TOKEN if one is NaN or the
// largest is infinite. With a cap elements become cap * tanh(element / cap) in passing. The grid is [rows].
struct flash_gpu_argmax {
    unsigned long long input;   // float [rows, width]
    unsigned long long output;  // int [rows]
    unsigned int width;
    float cap;  // 0 for none
};

// What a block of attention does for one key-value head: the queries of some tokens of a sequence over a part of its
// context. Tokens times group are at most the rows of a block: 64 for prompts, 16 for decoding.
struct flash_gpu_attention_task {
    unsigned int first_token;     // place in the batch
    unsigned int tokens;          // 0: nothing to do
    unsigned int first_position;  // of the first of them in its sequence
    unsigned int first_block;     // where the sequence's block ids begin
    unsigned int context_begin;   // a multiple of 16
    unsigned int context_end;     // at most first_position + tokens
    unsigned int part, parts;
    unsigned int first_slot;      // place of part 0 among the partial outputs; not used with one part
    unsigned int unused;
};

// Softmax attention. The grid is [tasks, cache heads].
struct flash_gpu_attention {
    unsigned long long queries;   // f16 [tokens, cache_head_count * group, head_stride]
    unsigned long long cache;     // f16 [blocks, 2, cache_head_count, 16, head_stride]
    unsigned long long output;    // 16-bit [tokens, output_stride]: heads behind each other, head_size elements each
    unsigned long long tasks;     // flash_gpu_attention_task [tasks]
    unsigned long long blocks;    // int: block ids of all sequences
    unsigned long long partials;  // float [slots, cache_head_count, rows of a block, head_stride + 2]
    unsigned long long arrivals;  // unsigned int [slots, cache_head_count], zero before and after
    unsigned int cache_head_count;
    unsigned int group;  // query heads of a cache head
    unsigned int head_size;
    unsigned int output_stride;   // elements
    unsigned int output_is_bf16;  // else f16
    float scale;                  // of the scores, log2(e) included
    unsigned int window;          // last tokens that a token looks at, itself included; 0 for all
    float cap;                    // scaled scores become cap * tanh(score / cap); 0 for none
};

#endif
