#ifndef FLASH_LLM_CKERNELS_H
#define FLASH_LLM_CKERNELS_H

#include <stddef.h>
#include <stdint.h>

// CPU kernels. No allocation, no threads, no I/O.

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
