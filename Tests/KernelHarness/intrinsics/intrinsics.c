// The emulated intrinsics against their definition, their analogues and themselves.
#include "../harness.h"
#include "operations.h"

#include <math.h>
#include <string.h>

#define ROUNDS 4000

// Floats of every kind, at the edges of rounding to binary16 and to integers, or any bits at all.
static uint32_t random_pattern(int64_t kind) {
    static const uint32_t edges[] = {
        0,          0x80000000, 0x7F800000, 0xFF800000, 0x7FC00000, 0x7F812345, 0xFFC12345, 0x00000001, 0x807FFFFF,
        0x00800000, 0x7F7FFFFF, 0x477FE000, 0x477FF000, 0x477FEFFF, 0x47800000, 0x38800000, 0x387FE000, 0x33000000,
        0x33000001, 0x32FFFFFF, 0x33800000, 0x33C00000, 0x3F000000, 0x3FC00000, 0x40200000, 0xBF000000, 0x4B000000,
        0x4AFFFFFF, 0x4F000000, 0xCF000000, 0x4EFFFFFF, 0xCF000001, 0x3F801000, 0x3F803000, 0x42FE0000, 0xC3180000};
    if (kind == 0) return edges[random_below(sizeof edges / sizeof *edges)];
    if (kind == 1) return (uint32_t)random_bits();
    float value = random_float(-1, 1);
    if (kind == 2) value *= 300;
    // Multiples of a half of a binary16's last place, and sums that nearly cancel.
    if (kind == 3) value = ldexpf(rintf(value * 4096), (int)random_below(40) - 36);
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

static void fill(struct operands *in) {
    const int64_t kind = random_below(6);
    for (int i = 0; i < 16; i++) {
        const uint32_t a = random_pattern(kind < 5 ? kind : random_below(5));
        const uint32_t b = random_pattern(kind < 5 ? kind : random_below(5));
        uint32_t c = random_pattern(kind < 5 ? kind : random_below(5));
        float x, y;
        memcpy(&x, &a, sizeof x);
        memcpy(&y, &b, sizeof y);
        // An addend next to minus the product, or far below it: where rounding twice goes wrong.
        const float near = -(x * y) * (random_bits() & 1 ? 1 : 0x1p-24f);
        if (random_below(3) == 0) memcpy(&c, &near, sizeof c);
        memcpy(in->a + 4 * i, &a, 4);
        memcpy(in->b + 4 * i, &b, 4);
        memcpy(in->c + 4 * i, &c, 4);
    }
    in->mask = random_bits();
    if (random_below(3) == 0) in->mask &= random_bits() & random_bits();
    if (random_below(8) == 0) in->mask = random_bits() & 1 ? ~0ull : 0;
}

static int are_alike(const uint8_t found[64], const uint8_t expected[64], int isFloat) {
    for (int i = 0; i < 64; i += 4) {
        float x, y;
        memcpy(&x, found + i, sizeof x);
        memcpy(&y, expected + i, sizeof y);
        if (memcmp(found + i, expected + i, 4) != 0 && !(isFloat && isnan(x) && isnan(y))) return 0;
    }
    return 1;
}

// How many comparisons there were: 0 if `others` lacks the operation.
static int compare(const struct operation *operation, const struct operation *others, const char *kind) {
    for (; others->name != NULL; others++) {
        if (strcmp(others->name, operation->name) != 0) continue;
        float table[256];
        for (int i = 0; i < 256; i++) table[i] = random_float(-1, 1);
        for (int round = 0; round < ROUNDS; round++) {
            struct operands in = {.table = table};
            fill(&in);
            uint8_t found[64], expected[64];
            memset(found, 0xA5, sizeof found);
            memset(expected, 0xA5, sizeof expected);
            operation->run(&in, found);
            others->run(&in, expected);
            const int isFloat = operation->isFloat || others->isFloat;
            check(are_alike(found, expected, isFloat), "%s differs from its %s in round %d", operation->name, kind,
                  round);
        }
        return 1;
    }
    return 0;
}

void test_intrinsics(void) {
    random_restart(99);
    for (const struct operation *operation = emulated_operations; operation->name != NULL; operation++) {
        int count = compare(operation, defined_operations, "definition");
        count += compare(operation, analogous_operations(), "analogue");
        count += compare(operation, native_operations(), "instruction");
        // Where x86 does not help, some have only been compared there.
        const int isElsewhere = analogous_operations()->name == NULL;
        check(count > 0 || isElsewhere, "%s is compared with nothing", operation->name);
    }
}
