#include "CKernels.h"

#include <string.h>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__aarch64__)
#include <arm_acle.h>
#if defined(__linux__)
#include <sys/auxv.h>
#endif
#endif

// CRC-32C: polynomial 0x1EDC6F41, bits reflected, register and result inverted. Source: RFC 3720, appendix B.4.
// A register is a polynomial whose coefficient of x^0 is bit 31.
#define POLYNOMIAL 0x82F63B78u

// The register after one byte is linear in the byte, so each entry is a sum of the entries of the byte's bits: x^32
// mod P for bit 7, each lower bit one more multiplication by x.
#define ENTRY(n) \
    (((n) & 128 ? 0x82F63B78u : 0) ^ ((n) & 64 ? 0x417B1DBCu : 0) ^ ((n) & 32 ? 0x20BD8EDEu : 0) \
     ^ ((n) & 16 ? 0x105EC76Fu : 0) ^ ((n) & 8 ? 0x8AD958CFu : 0) ^ ((n) & 4 ? 0xC79A971Fu : 0) \
     ^ ((n) & 2 ? 0xE13B70F7u : 0) ^ ((n) & 1 ? 0xF26B8303u : 0))
#define ENTRIES4(n) ENTRY(n), ENTRY((n) + 1), ENTRY((n) + 2), ENTRY((n) + 3)
#define ENTRIES16(n) ENTRIES4(n), ENTRIES4((n) + 4), ENTRIES4((n) + 8), ENTRIES4((n) + 12)
#define ENTRIES64(n) ENTRIES16(n), ENTRIES16((n) + 16), ENTRIES16((n) + 32), ENTRIES16((n) + 48)

static const uint32_t byte_table[256] = {ENTRIES64(0), ENTRIES64(64), ENTRIES64(128), ENTRIES64(192)};

uint32_t crc32c_update_portable(uint32_t crc, const void *bytes, size_t count) {
    const uint8_t *input = bytes;
    uint32_t state = ~crc;
    for (size_t i = 0; i < count; i++) state = byte_table[(state ^ input[i]) & 255] ^ state >> 8;
    return ~state;
}

#if defined(__x86_64__) || defined(__aarch64__)

#if defined(__x86_64__)
#define CRC_TARGET __attribute__((target("sse4.2")))
#define CRC_BYTE(state, value) _mm_crc32_u8(state, value)
#define CRC_WORD(state, value) (uint32_t)_mm_crc32_u64(state, value)
static int has_crc_instructions(void) { return __builtin_cpu_supports("sse4.2"); }
#else
#define CRC_TARGET __attribute__((target("crc")))
#define CRC_BYTE(state, value) __crc32cb(state, value)
#define CRC_WORD(state, value) __crc32cd(state, value)
static int has_crc_instructions(void) {
#if defined(__APPLE__)
    return 1;
#elif defined(__linux__)
    return (getauxval(AT_HWCAP) & (1 << 7)) != 0;  // HWCAP_CRC32
#else
    return 0;
#endif
}
#endif

static uint32_t multiply(uint32_t left, uint32_t right) {
    uint32_t product = 0;
    for (uint32_t bit = 1u << 31; bit != 0; bit >>= 1) {
        product ^= left & bit ? right : 0;
        right = right >> 1 ^ (right & 1 ? POLYNOMIAL : 0);
    }
    return product;
}

static inline uint64_t load_u64(const uint8_t *address) {
    uint64_t value;
    memcpy(&value, address, sizeof value);
    return value;
}

// One CRC instruction takes three cycles but one can start every cycle: three streams keep the unit busy. A register r
// followed by `SEGMENT` more bytes is r * x^(8 * SEGMENT), so three registers join with two multiplications (about 100
// ns), which 16 KiB per stream (2 us for the three) make negligible.
enum { SEGMENT_SHIFT = 14, SEGMENT = 1 << SEGMENT_SHIFT };

CRC_TARGET static uint32_t crc32c_update_hardware(uint32_t crc, const uint8_t *input, size_t count) {
    uint32_t state = ~crc;
    if (count >= 3 * SEGMENT) {
        uint32_t shift = 1u << 23;  // x^8
        for (int i = 0; i < SEGMENT_SHIFT; i++) shift = multiply(shift, shift);
        for (; count >= 3 * SEGMENT; input += 3 * SEGMENT, count -= 3 * SEGMENT) {
            uint32_t second = 0, third = 0;
            for (size_t i = 0; i < SEGMENT; i += 8) {
                state = CRC_WORD(state, load_u64(input + i));
                second = CRC_WORD(second, load_u64(input + SEGMENT + i));
                third = CRC_WORD(third, load_u64(input + 2 * SEGMENT + i));
            }
            state = multiply(multiply(state, shift) ^ second, shift) ^ third;
        }
    }
    for (; count >= 8; input += 8, count -= 8) state = CRC_WORD(state, load_u64(input));
    for (; count > 0; input++, count--) state = CRC_BYTE(state, *input);
    return ~state;
}

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count) {
    if (!has_crc_instructions()) return crc32c_update_portable(crc, bytes, count);
    return crc32c_update_hardware(crc, bytes, count);
}

#else

uint32_t crc32c_update(uint32_t crc, const void *bytes, size_t count) {
    return crc32c_update_portable(crc, bytes, count);
}

#endif
