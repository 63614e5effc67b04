#ifndef FLASH_LLM_CKERNELS_H
#define FLASH_LLM_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

// CPU kernels. No allocation, no threads, no I/O, no state but one constant table per instruction set.
//
// Callers validate; kernels trust. Unless said otherwise activations are row-major float32 `[tokens, width]` and every
// output element in the asked range is overwritten. No kernel reads or writes outside the arrays it is given, except
// that the value array of a tiled bitmap must be followed by FLASH_VALUE_PADDING readable elements.

#ifdef __cplusplus
extern "C" {
#endif

// Tells the processor that this thread waits in a loop: spares power and leaves the core to its other thread.
static inline void flash_pause(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("isb");
#endif
}

// ---- Matrices -------------------------------------------------------------------------------------------------------

// The type of stored 16- or 32-bit weights.
enum flash_element { FLASH_F32 = 0, FLASH_F16 = 1, FLASH_BF16 = 2 };

// Row-major `[rows, columns]`.
struct flash_dense {
    const void *elements;
    enum flash_element element;
    int64_t rows, columns;
};

// Rows of one panel of a tiled bitmap: the lanes that one column expands to.
#define FLASH_PANEL_ROWS 32
// Readable elements behind the last value of a tiled bitmap, so that expansion may load whole vectors.
#define FLASH_VALUE_PADDING 32

// Panels of 32 rows; a panel runs over all columns. `masks[panel * columns + column]` has bit r set if row
// 32 * panel + r is stored; the values of a panel lie behind each other, column by column and row by row within it,
// from `values[panel_offsets[panel]]` on.
struct flash_tiled_bitmap {
    const uint32_t *masks;
    const uint16_t *values;
    const uint64_t *panel_offsets;  // panels + 1
    enum flash_element element;     // FLASH_F16 or FLASH_BF16
    int64_t rows, columns;
};

#define FLASH_CSL_TILE_ROWS 128
#define FLASH_CSL_TILE_COLUMNS 64

// Flash-LLM's Tiled-CSL: 128 x 64 tiles, tile row by tile row; a word is value | position << 16 with
// position = r * 64 + (c ^ ((r % 8) << 3)). `tile_offsets` counts groups of four words; tiles + 1 are read.
struct flash_tiled_csl {
    const uint32_t *words;
    const int32_t *tile_offsets;
    enum flash_element element;  // FLASH_F16 or FLASH_BF16
    int64_t rows, columns;
};

// Rows of one slice of a sliced ELLPACK matrix: the lanes.
#define FLASH_SLICE_ROWS 16
// Rows that are sorted among each other, so that the rows of a slice are about equally long.
#define FLASH_WINDOW_ROWS 128

// Sliced ELLPACK with sorted rows (SELL-C-sigma) and 8-bit column deltas. Lane l of slice s holds row
// `s * 16 / 128 * 128 + lane_rows[s * 16 + l]`, none if that is beyond the last row. In step i of its slice a lane's
// column grows by the delta, from 0 on, and the element there grows by the value.
struct flash_sliced_ellpack {
    const uint8_t *deltas;          // `[steps, 16]`; lead to no column beyond the last
    const uint16_t *values;         // `[steps, 16]`
    const uint64_t *slice_offsets;  // slices + 1: each slice's first step
    const uint8_t *lane_rows;       // `[slices, 16]`; those of 8 slices, a window, are a permutation
    enum flash_element element;     // FLASH_F16 or FLASH_BF16
    int64_t rows, columns;
};

// Rows of one panel of a quantised matrix: the lanes.
#define FLASH_QUANTIZED_ROWS 16
// Readable bytes behind the last value of a quantised matrix, so that expansion may load whole vectors.
#define FLASH_QUANTIZED_PADDING 64
// Groups of columns are multiples of the first; groups of activations have at most the second.
#define FLASH_GROUP_COLUMNS 32
#define FLASH_GROUP_LIMIT 512

// How quantised weights are stored; an element is `scale * q`.
enum flash_coding {
    FLASH_I16 = 0,  // q in -32767...32767
    FLASH_I8 = 1,   // q in -127...127
    FLASH_I4 = 2,   // q in -8...7
};

// Panels of 16 rows; a panel runs over all columns in chunks of 4 bytes' worth of activations: 2 columns for I16, 4 for
// I8 and I4. Element (row, column) of a chunk has number row * chunk_columns + column; columns beyond the matrix are
// zeros. The values of a panel lie behind each other chunk by chunk, in the order of their numbers, from byte
// `panel_offsets[panel]` on: little-endian int16 or int8. I4 has two planes: the values of even chunks are the low
// nibbles (two's complement) of the panel's bytes, those of odd chunks the high ones, each plane from the first on.
struct flash_quantized {
    // `[panels, chunks]`, uint32 for I16, uint64 for I8 and I4: bit n is set if element n is stored. NULL: all are.
    const void *masks;
    const uint8_t *values;
    const uint64_t *panel_offsets;  // panels + 1
    const uint16_t *scales;         // bf16 `[panels, groups, 16]`
    enum flash_coding coding;
    int64_t rows, columns;
    int64_t group_columns;  // a multiple of 32; at least `columns` where a row has one scale
};

// ---- Products -------------------------------------------------------------------------------------------------------

// Memory each thread lends to a product: the activations of 16 tokens in up to 16,384 columns, the most that any kernel
// rearranges at a time. What a kernel does not use is never touched.
#define FLASH_SCRATCH_BYTES (1024 * 1024)

// `output[t * output_stride + r] = sum over k of weights[r, k] * input[t * input_stride + k]`
struct flash_operands {
    const float *input;
    int64_t input_stride;
    float *output;
    int64_t output_stride;
    int64_t tokens;
    void *scratch;  // FLASH_SCRATCH_BYTES, 64-byte aligned, not shared with another thread
    // The input by columns, `[blocks, columns, skip_tokens]` as `transpose` writes each block; NULL if there is none.
    // With it a tiled bitmap skips its zeros, without it expands them.
    const float *transposed;
};

// Activations for quantised weights: x = scale * q, in groups of columns. int8 (-127...127) for I8 and I4; int16
// (-2047...2047 in groups of 32, so that a group's sum of products stays below 2^31) for I16.
struct flash_quantized_input {
    const void *values;     // `[tokens, stride]`, zeros from the matrix's columns on up to a multiple of the group
    int64_t stride;         // elements
    const float *scales;    // `[tokens, groups]`
    const int32_t *sums;    // `[tokens, groups]`: the sum of a group's q
    // A multiple of 32, at most 512; divides the weights' group unless a row has one scale. 32 for I16.
    int64_t group_columns;
    int64_t groups;         // ceil(columns / group_columns)
};

// ---- Attention ------------------------------------------------------------------------------------------------------

// Tokens in one block of the key-value cache.
#define FLASH_BLOCK_TOKENS 16
// Queries that one call of the attention kernel takes at most.
#define FLASH_ATTENTION_QUERIES 64

// How the cache stores an element of a key or value.
enum flash_cache_type {
    FLASH_CACHE_F32 = 0,
    FLASH_CACHE_F16 = 1,
    FLASH_CACHE_I8 = 2,  // scale * q, q in -127...127, one scale for a token's key or value of one head
};

// Blocks of the cache that lie side by side, so that a head's keys, and its values, are runs of some kilobytes:
// processors fetch those ahead, and read scattered blocks at half the speed.
#define FLASH_SUPERBLOCK 8

// One layer of the cache, in blocks of 16 tokens. Eight blocks with consecutive numbers are a superblock; block b
// belongs to the one at `layer + b / 8 * superblock_stride` bytes. KV head by KV head a superblock holds the keys of
// its eight blocks, each `[head_width, 16]` elements (tokens are the lanes, so that scores need no horizontal sum), and
// behind them the values of its blocks, each `[16, head_width]`.
//
// I8 has pairs of what is summed up side by side, for products of 16-bit integers: keys `[head_width / 2, 16, 2]`,
// values `[8, head_width, 2]`, with head_width rounded up to even; behind each the scales of its 16 tokens, float32.
struct flash_cache_layer {
    void *layer;  // aligned for float
    enum flash_cache_type type;
    int64_t superblock_stride;  // bytes
    int64_t kv_heads, head_width;
};

// Attention of some queries of one KV head over the tokens [first_token, end_token) of one sequence.
struct flash_attention {
    const int32_t *block_table;  // the sequence's blocks from its first token on
    int64_t kv_head;
    float scale;
    float cap;  // scores become cap * tanh(score / cap); 0: they stay as they are
    int64_t first_token, end_token;  // the first is a multiple of 16, the second beyond it
    int64_t query_count;             // 1...FLASH_ATTENTION_QUERIES
    const float *const *queries;     // each `[head_width]`
    const int64_t *lengths;          // query i sees the sequence's tokens before lengths[i]: with is_part maybe none
    const int64_t *starts;           // and none before starts[i] (a sliding window); NULL: all from the first on
    float *const *outputs;           // each `[head_width]`; with is_part two more
    // If set, an output is the sum of weights * values, behind it the largest score and the sum of the weights.
    int is_part;
    void *scratch;  // FLASH_SCRATCH_BYTES, and enough for (FLASH_ATTENTION_QUERIES + 13) * head_width floats
    // What this thread will probably look at next, in the same layer; NULL if nothing. Its beginning is fetched ahead.
    const int32_t *next_block_table;
    int64_t next_kv_head, next_first_token, next_end_token;
};

// Of a step of Adam: the averages' decays, what they are multiplied by for having begun at zero, and the rest.
struct flash_adam {
    float first_decay, second_decay;
    float first_scale, second_scale;
    float rate, epsilon;
};

// ---- The table ------------------------------------------------------------------------------------------------------

struct flash_kernels {
    const char *name;  // "avx512", "avx2", "neon-dotprod", "neon", "portable"
    // Tokens of one block of transposed activations.
    int64_t skip_tokens;

    // Rows [first_row, end_row) of a product. For the bitmap first_row is a multiple of 32, for Tiled-CSL and sliced
    // ELLPACK of 128, and end_row too unless it is the matrix's last row.
    void (*product_dense)(
        const struct flash_dense *, int64_t first_row, int64_t end_row, const struct flash_operands *);
    void (*product_tiled_bitmap)(
        const struct flash_tiled_bitmap *, int64_t first_row, int64_t end_row, const struct flash_operands *);
    void (*product_tiled_csl)(
        const struct flash_tiled_csl *, int64_t first_row, int64_t end_row, const struct flash_operands *);
    void (*product_sliced_ellpack)(
        const struct flash_sliced_ellpack *, int64_t first_row, int64_t end_row, const struct flash_operands *);

    // The same for float32 weights, with these and the input rounded to bf16 first and sums in float32. NULL where that
    // is not faster than product_dense.
    void (*product_bf16)(
        const struct flash_dense *, int64_t first_row, int64_t end_row, const struct flash_operands *);

    // Up to skip_tokens tokens of the input as `[columns, skip_tokens]`, with zeros for the tokens that are missing.
    void (*transpose)(const float *input, int64_t input_stride, int64_t tokens, int64_t columns, float *output);
    // All of a matrix as `[columns, rows]`.
    void (*transpose_matrix)(
        const float *input, int64_t input_stride, int64_t rows, int64_t columns, float *output,
        int64_t output_stride);
    // The same for quantised weights; first_row is a multiple of 16, end_row too unless it is the last row. Integer
    // sums are exact and are added up in float32 in the order of the groups: an output depends on its row and token
    // alone. `scratch` as in flash_operands.
    void (*product_quantized)(
        const struct flash_quantized *, int64_t first_row, int64_t end_row, const struct flash_quantized_input *,
        float *output, int64_t output_stride, int64_t tokens, void *scratch);
    // Quantises one token's activations for FLASH_I8 (for I4 too) or FLASH_I16: `values` gets a whole number of groups,
    // to nearest even. A group with a NaN or an infinity gets the scale NaN, one below 1e-35 in magnitude the scale 0.
    void (*quantize)(
        const float *input, int64_t width, enum flash_coding coding, int64_t group_columns, void *values,
        float *scales, int32_t *sums);

    // Softmax(scale * queries keys^T) values.
    void (*attend)(const struct flash_cache_layer *, const struct flash_attention *);
    // Joins the parts of one query's output, `stride` floats apart, in their order.
    void (*join_attention)(const float *parts, int64_t stride, int64_t part_count, int64_t head_width, float *output);
    // Stores one token's `keys` and `values`, both `[kv_heads, head_width]`, at `slot` (0..<16) of `block`.
    void (*append)(
        const struct flash_cache_layer *, int64_t block, int64_t slot, const float *keys, const float *values);

    // output[i] = input[i] * weight[i] / sqrt(mean(input^2) + epsilon); `output` may be `input`.
    void (*rms_norm)(const float *input, const float *weight, int64_t width, float epsilon, float *output);
    // The same for each head by itself, in place: `[heads, head_width]`, weight `[head_width]`.
    void (*rms_norm_heads)(
        float *heads, int64_t head_count, int64_t head_width, const float *weight, float epsilon);
    // output[i] = (input[i] - mean) * weight[i] / sqrt(variance + epsilon) + bias[i]; `output` may be `input`.
    void (*layer_norm)(
        const float *input, const float *weight, const float *bias, int64_t width, float epsilon, float *output);
    // Rotates `heads` heads in place; element i pairs with i + head_width / 2 (Hugging Face's order); `cosines` and
    // `sines` hold head_width / 2 elements each.
    void (*rotate)(float *heads, int64_t head_count, int64_t head_width, const float *cosines, const float *sines);
    // gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i]
    void (*silu_multiply)(float *gate, const float *up, int64_t count);
    // values[i] = max(values[i], 0); NaN stays NaN.
    void (*relu)(float *values, int64_t count);
    // values[i] = values[i] * (1 + erf(values[i] / sqrt(2))) / 2
    void (*gelu)(float *values, int64_t count);
    // values[i] = values[i] * (1 + tanh(sqrt(2 / pi) * (values[i] + 0.044715 * values[i]^3))) / 2
    void (*gelu_tanh)(float *values, int64_t count);
    // gate[i] = gelu_tanh(gate[i]) * up[i]
    void (*gelu_tanh_multiply)(float *gate, const float *up, int64_t count);
    // values[i] = cap * tanh(values[i] / cap); NaN stays NaN.
    void (*soft_cap)(float *values, int64_t count, float cap);
    // scores[i] = exp(scale * scores[i]) / sum over all of the same
    void (*softmax)(float *scores, int64_t count, float scale);
    // target[i] += addend[i]
    void (*add)(float *target, const float *addend, int64_t count);
    // Gradients: what a loss's derivative by an output says of its derivatives by the inputs.
    //
    // input_gradient[i] += the derivative by input[i] of rms_norm.
    void (*rms_norm_gradient)(
        const float *input, const float *weight, int64_t width, float epsilon, const float *output_gradient,
        float *input_gradient);
    // The same of layer_norm.
    void (*layer_norm_gradient)(
        const float *input, const float *weight, int64_t width, float epsilon, const float *output_gradient,
        float *input_gradient);
    // values[i] = the derivative by values[i] of relu, gelu and gelu_tanh.
    void (*relu_gradient)(float *values, const float *output_gradient, int64_t count);
    void (*gelu_gradient)(float *values, const float *output_gradient, int64_t count);
    void (*gelu_tanh_gradient)(float *values, const float *output_gradient, int64_t count);
    // The derivatives by gate[i] and up[i] of silu_multiply, into `gate` and `up`.
    void (*silu_gradient)(float *gate, float *up, const float *output_gradient, int64_t count);
    // output_gradient[i] = the derivative by scores[i] of softmax, whose outputs are `weights`.
    void (*softmax_gradient)(const float *weights, float *output_gradient, int64_t count, float scale);
    // A step of Adam: the averages move, and the weights that are not zero by them; none of these becomes zero.
    void (*adam)(
        float *weights, const float *gradient, float *first, float *second, int64_t count,
        const struct flash_adam *settings);
    // 16- or 32-bit elements to float32.
    void (*widen)(const void *elements, enum flash_element element, int64_t count, float *output);

    // Rounding of a row of weights, for packing: every instruction set gives the same bits. `count` is a multiple of
    // 32, filled up with zeros; all weights are finite. `scales` are bf16, each group's 16 elements behind the last's.
    //
    // The scale of each group: for I16 the least that cuts nothing off, for I8 and I4 one of least squared error,
    // which may be negative, and one without any error if there is such. 0 where all weights of a group are.
    void (*fit_scales)(
        const float *weights, int64_t count, int64_t group_columns, enum flash_coding coding, uint16_t *scales);
    // integers[i] = weights[i] / scale, to nearest even, cut off at the ends of the coding's range. Adds the nonzeros
    // in even chunks to counts[0], those in odd ones to counts[1].
    void (*round_weights)(
        const float *weights, int64_t count, int64_t group_columns, enum flash_coding coding, const uint16_t *scales,
        int16_t *integers, int64_t counts[2]);

    // Packing of f16 or bf16 elements, which lie at any alignment for uint16. -0.0 is a zero.
    //
    // Bit i % 64 of bits[i / 64] is set where element i is no zero; bits from `count` on are not. Returns 0 if an
    // element is NaN or infinite, 1 else.
    int (*nonzero_bits)(const uint16_t *elements, int64_t count, enum flash_element element, uint64_t *bits);
    // One panel of a tiled bitmap, of row-major `[rows, columns]` with 1...32 rows: its masks, and its nonzeros in
    // their order. Returns how many these are; no more than `room` are written, whatever the elements, which may lie in
    // a file that somebody changes.
    int64_t (*pack_panel)(
        const uint16_t *elements, int64_t rows, int64_t columns, uint32_t *masks, uint16_t *values, int64_t room);
    // One panel of a quantised matrix, of `[16, chunks * chunk columns]` integers whose rows lie `stride` apart: those
    // that are not zero, and the masks that say which these are, or all where `masks` is NULL. `values` are zeros
    // before; no more than `room` bytes of them are written.
    void (*pack_chunks)(
        const int16_t *integers, int64_t stride, int64_t chunks, enum flash_coding coding, void *masks,
        uint8_t *values, int64_t room);
};

// The best table for this processor, or the named one. NULL if `name` is unknown or the processor lacks it.
const struct flash_kernels *flash_kernels_select(const char *name);

// ---- References -----------------------------------------------------------------------------------------------------

// The same products in double precision, one output at a time: the ground truth of the tests.
void flash_reference_dense(const struct flash_dense *, const struct flash_operands *);
void flash_reference_tiled_bitmap(const struct flash_tiled_bitmap *, const struct flash_operands *);
void flash_reference_tiled_csl(const struct flash_tiled_csl *, const struct flash_operands *);
void flash_reference_sliced_ellpack(const struct flash_sliced_ellpack *, const struct flash_operands *);
void flash_reference_quantized(
    const struct flash_quantized *, const struct flash_quantized_input *, float *output, int64_t output_stride,
    int64_t tokens);
// All elements of a quantised matrix as its integers, row-major `[rows, columns]`.
void flash_quantized_integers(const struct flash_quantized *, int16_t *output);
// Attention for one query over the tokens [start, length), double precision; `cap` as in flash_attention.
void flash_reference_attend(
    const struct flash_cache_layer *, const int32_t *block_table, int64_t kv_head, float scale, float cap,
    const float *query, int64_t start, int64_t length, float *output);
// Reads `count` elements as fast as this machine can and returns a checksum: the bandwidth ceiling. The elements are
// consumed by plain vector loads from four streams; nothing else limits the loop.
uint64_t flash_read_bandwidth(const void *bytes, int64_t byte_count);

// One element of a type as float32, exactly.
float flash_widen_one(uint16_t bits, enum flash_element element);
// float32 to binary16 bits, to nearest even; overflow gives infinity.
uint16_t flash_narrow_f16(float value);

#ifdef __cplusplus
}
#endif

// ---- Checkpoints: stored weights and checksums (dequantize.c, convert.c, crc32c.c) --------------------------------

/// How a checkpoint stores the elements of a weight: one by one, or in GGUF's quantised blocks.
enum weight_encoding {
    WEIGHT_F32,
    WEIGHT_F16,
    WEIGHT_BF16,
    WEIGHT_Q4_0,
    WEIGHT_Q4_1,
    WEIGHT_Q5_0,
    WEIGHT_Q5_1,
    WEIGHT_Q8_0,
    WEIGHT_Q4_K,
    WEIGHT_Q5_K,
    WEIGHT_Q6_K,
};

/// Decodes `count` elements, a whole number of blocks, that lie little-endian and at any alignment at `input`.
///
/// Every element of `output` is written, rounded to nearest even where it gets narrower. Callers may decode disjoint
/// runs of blocks from several threads. The result is the index of the first element that is NaN or infinite in
/// `output`, be it stored so or overflowing; `count` if there is none.
int64_t decode_weights_f32(enum weight_encoding encoding, const void *input, int64_t count, float *output);
int64_t decode_weights_f16(enum weight_encoding encoding, const void *input, int64_t count, uint16_t *output);
int64_t decode_weights_bf16(enum weight_encoding encoding, const void *input, int64_t count, uint16_t *output);

/// The index of the first NaN or infinity among `count` elements stored one by one at `input`, at any alignment;
/// `count` if there is none. `encoding` is WEIGHT_F32, WEIGHT_F16 or WEIGHT_BF16.
int64_t first_nonfinite_weight(enum weight_encoding encoding, const void *input, int64_t count);

/// Conversions of `count` elements between IEEE binary16, bfloat16 and binary32, subnormals, infinities and NaN
/// included; rounding to nearest even. A NaN becomes quiet and keeps its leading payload bits. `input` may be
/// unaligned.
void convert_f16_f32(const void *input, int64_t count, float *output);
void convert_bf16_f32(const void *input, int64_t count, float *output);
void convert_f32_f16(const void *input, int64_t count, uint16_t *output);
void convert_f32_bf16(const void *input, int64_t count, uint16_t *output);

/// CRC-32C (Castagnoli) of bytes that follow those with the checksum `crc`; start with 0.
uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count);

/// The same without the processor's CRC instructions; the reference for the one above.
uint32_t crc32c_update_portable(uint32_t crc, const void *bytes, size_t count);

#endif
