// Tables for byte shuffles that undo the packing of a bitmap, for instruction sets without an expand instruction.
#ifndef FLASH_LLM_BYTE_SHUFFLES_H
#define FLASH_LLM_BYTE_SHUFFLES_H

#include <stdint.h>

// Calls f(m) for 256 masks from 0 on, behind each other.
#define EACH_4(f, m) f(m), f((m) + 1), f((m) + 2), f((m) + 3)
#define EACH_16(f, m) EACH_4(f, m), EACH_4(f, (m) + 4), EACH_4(f, (m) + 8), EACH_4(f, (m) + 12)
#define EACH_64(f, m) EACH_16(f, m), EACH_16(f, (m) + 16), EACH_16(f, (m) + 32), EACH_16(f, (m) + 48)
#define EACH_256(f) EACH_64(f, 0), EACH_64(f, 64), EACH_64(f, 128), EACH_64(f, 192)

// How many elements lie before element i of mask m.
#define BEFORE(m, i) __builtin_popcount((m) & ((1 << (i)) - 1))
// An index that selects nothing gives a zero.
#define NO_BYTE 0x80
#define WORD_LOW(m, i) ((m) >> (i) & 1 ? 2 * BEFORE(m, i) : NO_BYTE)
#define WORD_HIGH(m, i) ((m) >> (i) & 1 ? 2 * BEFORE(m, i) + 1 : NO_BYTE)
#define WORD(m, i) WORD_LOW(m, i), WORD_HIGH(m, i)
#define WORDS(m)                                                                                                     \
    { WORD(m, 0), WORD(m, 1), WORD(m, 2), WORD(m, 3), WORD(m, 4), WORD(m, 5), WORD(m, 6), WORD(m, 7) }
#define BYTE(m, i, first) ((m) >> (i) & 1 ? BEFORE(m, i) + (first) : NO_BYTE)
#define BYTES(m, first)                                                                                              \
    {                                                                                                                \
        BYTE(m, 0, first), BYTE(m, 1, first), BYTE(m, 2, first), BYTE(m, 3, first), BYTE(m, 4, first),               \
            BYTE(m, 5, first), BYTE(m, 6, first), BYTE(m, 7, first)                                                  \
    }
#define LOWER_BYTES(m) BYTES(m, 0)
#define UPPER_BYTES(m) BYTES(m, 8)

// For each mask of eight the shuffle that moves packed 16-bit values to their places: 4 KB.
static const uint8_t word_shuffles[256][16] = {EACH_256(WORDS)};
// The same for bytes that lie packed in the lower or in the upper half of a register: 4 KB.
static const uint8_t byte_shuffles[2][256][8] = {{EACH_256(LOWER_BYTES)}, {EACH_256(UPPER_BYTES)}};

#endif
