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
// One table for each byte of a register where packed bytes can begin.
#define BYTES_0(m) BYTES(m, 0)
#define BYTES_1(m) BYTES(m, 1)
#define BYTES_2(m) BYTES(m, 2)
#define BYTES_3(m) BYTES(m, 3)
#define BYTES_4(m) BYTES(m, 4)
#define BYTES_5(m) BYTES(m, 5)
#define BYTES_6(m) BYTES(m, 6)
#define BYTES_7(m) BYTES(m, 7)
#define BYTES_8(m) BYTES(m, 8)

// For each mask of eight the shuffle that moves packed 16-bit values to their places: 4 KB.
static const uint8_t word_shuffles[256][16] = {EACH_256(WORDS)};
// The same for bytes that lie packed from byte 0...8 of a register on: 18 KB.
static const uint8_t byte_shuffles[9][256][8] = {
    {EACH_256(BYTES_0)}, {EACH_256(BYTES_1)}, {EACH_256(BYTES_2)}, {EACH_256(BYTES_3)}, {EACH_256(BYTES_4)},
    {EACH_256(BYTES_5)}, {EACH_256(BYTES_6)}, {EACH_256(BYTES_7)}, {EACH_256(BYTES_8)}};

#endif
