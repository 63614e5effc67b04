// Packing of 16-bit elements: which are no zeros, and the panels of a bitmap.
#include "harness.h"

#include <string.h>

static uint16_t random_element(double density, enum flash_element element) {
    const uint16_t sign = random_bits() & 1 ? 0x8000 : 0;
    if (!(random_float(0, 1) < density)) return sign;
    return sign | (uint16_t)(1 + random_below((element == FLASH_F16 ? 0x7C00 : 0x7F80) - 1));
}

static void check_bits(int64_t count, double density, enum flash_element element, int isFinite) {
    const size_t words = (size_t)(count + 63) / 64;
    struct guarded elements = guarded_make((size_t)count * sizeof(uint16_t), 0);
    struct guarded bits = guarded_make(words * sizeof(uint64_t), 0);
    uint16_t *e = (uint16_t *)elements.bytes;
    for (int64_t i = 0; i < count; i++) e[i] = random_element(density, element);
    if (!isFinite) e[random_below(count)] = (uint16_t)((element == FLASH_F16 ? 0x7C00 : 0x7F80) + random_below(128));
    int isRight = kernels->nonzero_bits(e, count, element, (uint64_t *)bits.bytes) == isFinite;
    for (int64_t i = 0; i < (int64_t)words * 64; i++) {
        const int isSet = ((const uint64_t *)bits.bytes)[i / 64] >> i % 64 & 1;
        isRight &= isSet == (i < count && (e[i] & 0x7FFF) != 0);
    }
    check(isRight && guarded_is_intact(&bits), "nonzero_bits: %lld elements, density %g, finite %d", (long long)count,
          density, isFinite);
    guarded_free(&elements);
    guarded_free(&bits);
}

static void check_panel(int64_t rows, int64_t columns, double density, int isShort) {
    const size_t count = (size_t)(rows * columns);
    struct guarded elements = guarded_make(count * sizeof(uint16_t), 0);
    struct guarded masks = guarded_make((size_t)columns * sizeof(uint32_t), 0);
    uint16_t *e = (uint16_t *)elements.bytes;
    int64_t stored = 0;
    for (size_t i = 0; i < count; i++) {
        e[i] = random_element(density, FLASH_F16);
        stored += (e[i] & 0x7FFF) != 0;
    }
    const int64_t room = isShort ? random_below(stored + 1) : stored;
    struct guarded values = guarded_make((size_t)room * sizeof(uint16_t), 0);
    int isRight = kernels->pack_panel(
                      e, rows, columns, (uint32_t *)masks.bytes, (uint16_t *)values.bytes, room) == stored;
    int64_t next = 0;
    for (int64_t k = 0; k < columns; k++) {
        uint32_t mask = 0;
        for (int64_t r = 0; r < rows; r++) {
            const uint16_t bits = e[r * columns + k];
            if ((bits & 0x7FFF) == 0) continue;
            mask |= 1u << r;
            isRight &= next >= room || ((const uint16_t *)values.bytes)[next] == bits;
            next++;
        }
        isRight &= ((const uint32_t *)masks.bytes)[k] == mask;
    }
    check(isRight && guarded_is_intact(&masks) && guarded_is_intact(&values),
          "pack_panel: %lld x %lld, density %g, room for %lld of %lld", (long long)rows, (long long)columns, density,
          (long long)room, (long long)stored);
    guarded_free(&elements);
    guarded_free(&masks);
    guarded_free(&values);
}

static const int64_t chunk_widths[] = {2, 4, 4};

// The bytes of a panel's values as CKernels.h says, in memory that ends with them; its size is what is stored.
static struct guarded expected_chunks(
    const int16_t *integers, int64_t stride, int64_t chunks, enum flash_coding coding, uint64_t *masks) {
    const int64_t width = chunk_widths[coding], planes = coding == FLASH_I4 ? 2 : 1;
    struct guarded values = {.bytes = NULL};
    for (int pass = 0; pass < 2; pass++) {
        int64_t next[2] = {0, 0};
        for (int64_t chunk = 0; chunk < chunks; chunk++) {
            const int64_t plane = chunk % planes;
            if (masks != NULL) masks[chunk] = 0;
            for (int64_t n = 0; n < FLASH_QUANTIZED_ROWS * width; n++) {
                const int16_t value = integers[n / width * stride + chunk * width + n % width];
                if (value == 0 && masks != NULL) continue;
                if (masks != NULL) masks[chunk] |= 1ull << n;
                if (pass == 1 && coding == FLASH_I16) memcpy(values.bytes + 2 * next[plane], &value, 2);
                if (pass == 1 && coding == FLASH_I8) values.bytes[next[plane]] = (uint8_t)value;
                if (pass == 1 && coding == FLASH_I4)
                    values.bytes[next[plane]] |= (uint8_t)((value & 15) << 4 * plane);
                next[plane]++;
            }
        }
        if (pass == 1) break;
        const int64_t most = next[0] > next[1] ? next[0] : next[1];
        values = guarded_make((size_t)(coding == FLASH_I16 ? 2 * most : most), 0);
        memset(values.bytes, 0, values.count);
    }
    return values;
}

static void check_chunks(int64_t chunks, enum flash_coding coding, int isDense, double density, int isShort) {
    static const int64_t limits[] = {32767, 127, 7};
    const int64_t width = chunk_widths[coding], stride = chunks * width + random_below(3);
    struct guarded integers = guarded_make((size_t)((FLASH_QUANTIZED_ROWS - 1) * stride + chunks * width) * 2, 0);
    struct guarded masks = guarded_make((size_t)(chunks * width) * 2, 0);
    static uint64_t expected_masks[128];
    int16_t *q = (int16_t *)integers.bytes;
    const int64_t limit = limits[coding], least = coding == FLASH_I4 ? -8 : -limit;
    for (size_t i = 0; i < integers.count / 2; i++)
        q[i] = random_float(0, 1) < density ? (int16_t)(least + random_below(limit - least + 1)) : 0;
    struct guarded expected = expected_chunks(q, stride, chunks, coding, isDense ? NULL : expected_masks);
    const int64_t room = isShort ? random_below((int64_t)expected.count + 1) : (int64_t)expected.count;
    struct guarded values = guarded_make((size_t)room, 0);
    memset(values.bytes, 0, (size_t)room);
    kernels->pack_chunks(q, stride, chunks, coding, isDense ? NULL : masks.bytes, values.bytes, room);
    // The last byte of an odd room may be half an integer.
    int isRight = memcmp(values.bytes, expected.bytes, (size_t)(coding == FLASH_I16 ? room / 2 * 2 : room)) == 0;
    for (int64_t chunk = 0; chunk < chunks && !isDense; chunk++)
        isRight &= memcmp(masks.bytes + chunk * width * 2, &expected_masks[chunk], (size_t)width * 2) == 0;
    check(isRight && guarded_is_intact(&masks) && guarded_is_intact(&values),
          "pack_chunks: coding %d, %lld chunks, dense %d, density %g, room for %lld", coding, (long long)chunks,
          isDense, density, (long long)room);
    guarded_free(&integers);
    guarded_free(&masks);
    guarded_free(&expected);
    guarded_free(&values);
}

void test_packing(void) {
    static const double densities[] = {0, 0.03, 0.5, 1};
    for (int d = 0; d < 4; d++) {
        for (int64_t count = 1; count <= 200; count++) {
            check_bits(count, densities[d], FLASH_F16, 1);
            check_bits(count, densities[d], FLASH_BF16, 1);
            check_bits(count, densities[d], random_bits() & 1 ? FLASH_F16 : FLASH_BF16, 0);
        }
        for (int64_t columns = 1; columns <= 70; columns++) {
            check_panel(FLASH_PANEL_ROWS, columns, densities[d], 0);
            check_panel(1 + random_below(FLASH_PANEL_ROWS), columns, densities[d], 0);
            check_panel(FLASH_PANEL_ROWS, columns, densities[d], 1);
        }
        check_panel(FLASH_PANEL_ROWS, 2049, densities[d], 0);
        for (int64_t chunks = 1; chunks <= 70; chunks++) {
            for (int coding = FLASH_I16; coding <= FLASH_I4; coding++) {
                check_chunks(chunks, (enum flash_coding)coding, 0, densities[d], 0);
                check_chunks(chunks, (enum flash_coding)coding, 1, densities[d], 0);
                check_chunks(chunks, (enum flash_coding)coding, random_below(2) == 0, densities[d], 1);
            }
        }
    }
}
