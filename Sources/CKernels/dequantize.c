#include "CKernels.h"
#include "half_precision.h"

// GGUF's quantised blocks. Layouts as in ggml's ggml-common.h; arithmetic in the order of ggml's reference, so that the
// results agree bit for bit. `input` holds `count` blocks, `output` gets all their elements.

// Q4_0, 18 bytes for 32 elements: f16 scale; 16 bytes, low nibbles elements 0..<16, high nibbles elements 16..<32.
static void decode_q4_0(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 18, output += 32) {
        float scale = float_from_f16(load_u16(input));
        for (int i = 0; i < 16; i++) {
            output[i] = scale * (float)((input[2 + i] & 15) - 8);
            output[16 + i] = scale * (float)((input[2 + i] >> 4) - 8);
        }
    }
}

// Q4_1, 20 bytes for 32 elements: f16 scale; f16 minimum; nibbles as above.
static void decode_q4_1(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 20, output += 32) {
        float scale = float_from_f16(load_u16(input)), minimum = float_from_f16(load_u16(input + 2));
        for (int i = 0; i < 16; i++) {
            output[i] = scale * (float)(input[4 + i] & 15) + minimum;
            output[16 + i] = scale * (float)(input[4 + i] >> 4) + minimum;
        }
    }
}

// Q5_0, 22 bytes for 32 elements: f16 scale; u32 whose bit i is the fifth bit of element i; nibbles as above.
static void decode_q5_0(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 22, output += 32) {
        float scale = float_from_f16(load_u16(input));
        uint32_t high = load_u32(input + 2);
        for (int i = 0; i < 16; i++) {
            int low = (input[6 + i] & 15) | (int)((high >> i) & 1) << 4;
            int upper = (input[6 + i] >> 4) | (int)((high >> (16 + i)) & 1) << 4;
            output[i] = scale * (float)(low - 16);
            output[16 + i] = scale * (float)(upper - 16);
        }
    }
}

// Q5_1, 24 bytes for 32 elements: f16 scale; f16 minimum; fifth bits; nibbles.
static void decode_q5_1(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 24, output += 32) {
        float scale = float_from_f16(load_u16(input)), minimum = float_from_f16(load_u16(input + 2));
        uint32_t high = load_u32(input + 4);
        for (int i = 0; i < 16; i++) {
            int low = (input[8 + i] & 15) | (int)((high >> i) & 1) << 4;
            int upper = (input[8 + i] >> 4) | (int)((high >> (16 + i)) & 1) << 4;
            output[i] = scale * (float)low + minimum;
            output[16 + i] = scale * (float)upper + minimum;
        }
    }
}

// Q8_0, 34 bytes for 32 elements: f16 scale; 32 signed bytes.
static void decode_q8_0(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 34, output += 32) {
        float scale = float_from_f16(load_u16(input));
        for (int i = 0; i < 32; i++) output[i] = scale * (float)(int8_t)input[2 + i];
    }
}

// The 6-bit scale and minimum of group `group` (of 8) in the 12 bytes that Q4_K and Q5_K pack them into: bytes 0..<4
// hold scales 0..<4 and bytes 4..<8 minima 0..<4 in their low six bits; the top two bits of these are the top bits of
// scales and minima 4..<8, whose low nibbles share bytes 8..<12.
static void unpack_scale(const uint8_t *packed, int group, int *scale, int *minimum) {
    if (group < 4) {
        *scale = packed[group] & 63;
        *minimum = packed[group + 4] & 63;
    } else {
        *scale = (packed[group + 4] & 15) | (packed[group - 4] >> 6) << 4;
        *minimum = packed[group + 4] >> 4 | (packed[group] >> 6) << 4;
    }
}

// Q4_K, 144 bytes for 256 elements in 8 groups of 32: f16 scale of scales; f16 scale of minima; 12 bytes of scales; 4
// times 32 bytes, whose low nibbles are one group and whose high nibbles the next.
static void decode_q4_k(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 144, output += 256) {
        float scales = float_from_f16(load_u16(input)), minima = float_from_f16(load_u16(input + 2));
        for (int group = 0; group < 8; group++) {
            int scale, minimum, shift = 4 * (group % 2);
            unpack_scale(input + 4, group, &scale, &minimum);
            float group_scale = scales * (float)scale, group_minimum = minima * (float)minimum;
            const uint8_t *nibbles = input + 16 + 32 * (group / 2);
            for (int i = 0; i < 32; i++) {
                output[32 * group + i] = group_scale * (float)((nibbles[i] >> shift) & 15) - group_minimum;
            }
        }
    }
}

// Q5_K, 176 bytes for 256 elements: as Q4_K with 32 bytes before the nibbles; bit g of byte i is the fifth bit of
// element i of group g.
static void decode_q5_k(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 176, output += 256) {
        float scales = float_from_f16(load_u16(input)), minima = float_from_f16(load_u16(input + 2));
        const uint8_t *high = input + 16;
        for (int group = 0; group < 8; group++) {
            int scale, minimum, shift = 4 * (group % 2);
            unpack_scale(input + 4, group, &scale, &minimum);
            float group_scale = scales * (float)scale, group_minimum = minima * (float)minimum;
            const uint8_t *nibbles = input + 48 + 32 * (group / 2);
            for (int i = 0; i < 32; i++) {
                int value = ((nibbles[i] >> shift) & 15) | ((high[i] >> group) & 1) << 4;
                output[32 * group + i] = group_scale * (float)value - group_minimum;
            }
        }
    }
}

// Q6_K, 210 bytes for 256 elements in two halves of 128: 128 bytes of nibbles, 64 bytes of upper bit pairs, 16 signed
// byte scales for 16 elements each, f16 scale of scales. Run r of 32 elements in a half takes its nibbles from bytes
// 32 * (r % 2) + i, low for r < 2, and its bits 2r and 2r + 1 of the half's bit pair byte i.
static void decode_q6_k(const uint8_t *restrict input, int64_t count, float *restrict output) {
    for (; count > 0; count--, input += 210, output += 256) {
        const int8_t *scales = (const int8_t *)input + 192;
        float super_scale = float_from_f16(load_u16(input + 208));
        for (int run = 0; run < 8; run++) {
            int half = run / 4, quarter = run % 4;
            const uint8_t *nibbles = input + 64 * half + 32 * (quarter % 2);
            const uint8_t *pairs = input + 128 + 32 * half;
            int shift = 4 * (quarter / 2);
            for (int i = 0; i < 32; i++) {
                int value = ((nibbles[i] >> shift) & 15) | ((pairs[i] >> (2 * quarter)) & 3) << 4;
                float scale = super_scale * (float)scales[2 * run + i / 16];
                output[32 * run + i] = scale * (float)(value - 32);
            }
        }
    }
}

static void copy_f32(const uint8_t *restrict input, int64_t count, float *restrict output) {
    memcpy(output, input, (size_t)count * sizeof *output);
}

static void decode_f16(const uint8_t *restrict input, int64_t count, float *restrict output) {
    convert_f16_f32(input, count, output);
}

static void decode_bf16(const uint8_t *restrict input, int64_t count, float *restrict output) {
    convert_bf16_f32(input, count, output);
}

struct decoder {
    int64_t elements, bytes;  // of one block
    void (*decode)(const uint8_t *restrict input, int64_t count, float *restrict output);
};

static const struct decoder decoders[] = {
    [WEIGHT_F32] = {1, 4, copy_f32},
    [WEIGHT_F16] = {1, 2, decode_f16},
    [WEIGHT_BF16] = {1, 2, decode_bf16},
    [WEIGHT_Q4_0] = {32, 18, decode_q4_0},
    [WEIGHT_Q4_1] = {32, 20, decode_q4_1},
    [WEIGHT_Q5_0] = {32, 22, decode_q5_0},
    [WEIGHT_Q5_1] = {32, 24, decode_q5_1},
    [WEIGHT_Q8_0] = {32, 34, decode_q8_0},
    [WEIGHT_Q4_K] = {256, 144, decode_q4_k},
    [WEIGHT_Q5_K] = {256, 176, decode_q5_k},
    [WEIGHT_Q6_K] = {256, 210, decode_q6_k},
};

// Elements decoded before they are converted and checked: whole blocks of every encoding, and few enough (4 KiB) to
// stay in the first-level cache.
enum { CHUNK = 1024 };

int64_t decode_weights_f32(enum weight_encoding encoding, const void *input, int64_t count, float *output) {
    const struct decoder *decoder = &decoders[encoding];
    const uint8_t *bytes = input;
    int64_t nonfinite = count;
    for (int64_t start = 0; start < count; start += CHUNK) {
        int64_t length = count - start < CHUNK ? count - start : CHUNK;
        int64_t blocks = length / decoder->elements;
        decoder->decode(bytes, blocks, output + start);
        bytes += blocks * decoder->bytes;
        if (nonfinite < count) continue;
        int64_t index = first_nonfinite_weight(WEIGHT_F32, output + start, length);
        if (index < length) nonfinite = start + index;
    }
    return nonfinite;
}

// `narrow` is WEIGHT_F16 or WEIGHT_BF16, the type of `output`.
static int64_t decode_weights_narrow(
    enum weight_encoding encoding, const void *input, int64_t count, enum weight_encoding narrow, uint16_t *output) {
    if (encoding == narrow) {
        memcpy(output, input, (size_t)count * sizeof *output);
        return first_nonfinite_weight(narrow, output, count);
    }
    const struct decoder *decoder = &decoders[encoding];
    const uint8_t *bytes = input;
    int64_t nonfinite = count;
    float decoded[CHUNK];
    for (int64_t start = 0; start < count; start += CHUNK) {
        int64_t length = count - start < CHUNK ? count - start : CHUNK;
        int64_t blocks = length / decoder->elements;
        decoder->decode(bytes, blocks, decoded);
        bytes += blocks * decoder->bytes;
        if (narrow == WEIGHT_F16) convert_f32_f16(decoded, length, output + start);
        else convert_f32_bf16(decoded, length, output + start);
        if (nonfinite < count) continue;
        int64_t index = first_nonfinite_weight(narrow, output + start, length);
        if (index < length) nonfinite = start + index;
    }
    return nonfinite;
}

int64_t decode_weights_f16(enum weight_encoding encoding, const void *input, int64_t count, uint16_t *output) {
    return decode_weights_narrow(encoding, input, count, WEIGHT_F16, output);
}

int64_t decode_weights_bf16(enum weight_encoding encoding, const void *input, int64_t count, uint16_t *output) {
    return decode_weights_narrow(encoding, input, count, WEIGHT_BF16, output);
}
