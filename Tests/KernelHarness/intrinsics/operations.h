// Instructions as functions of bytes, so that several ways to compute them can be compared.
#ifndef FLASH_LLM_HARNESS_OPERATIONS_H
#define FLASH_LLM_HARNESS_OPERATIONS_H

#include <stdint.h>

struct operands {
    uint8_t a[64], b[64], c[64];
    uint64_t mask;
    const float *table;  // 256 elements
};

struct operation {
    const char *name;
    // Any NaN is as good as another.
    int isFloat;
    void (*run)(const struct operands *in, uint8_t result[64]);
};

// All that avx512.h uses and that is no plain move, over the emulation. Ends with the name NULL, as do the others.
extern const struct operation emulated_operations[];
// The same by the processor's own AVX-512; empty unless it has that.
const struct operation *native_operations(void);
// By other instructions of x86: AVX2, FMA, F16C; empty unless the processor has those.
const struct operation *analogous_operations(void);
// By their definition, element by element.
extern const struct operation defined_operations[];

#endif
