// Holds the kernels of one instruction set against double-precision or exact integer results. See scripts/test-kernels.
#ifndef FLASH_LLM_KERNEL_HARNESS_H
#define FLASH_LLM_KERNEL_HARNESS_H

#include "CKernels.h"

#include <stddef.h>
#include <stdint.h>

// ---- Verdicts (main.c) ----

extern const struct flash_kernels *kernels;
// Whether multiply-adds round once: not where portable kernels run on x86.
extern int isFused;

// Counts one case; a false one is reported with its description, as printf takes it.
void check(int isRight, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ---- Random numbers (main.c): one stream with a fixed seed, so that every set sees the same cases ----

void random_restart(uint64_t seed);
uint64_t random_bits(void);
int64_t random_below(int64_t limit);
// Uniform in low..<high.
float random_float(float low, float high);

// ---- Memory (memory.c) ----

// Bytes that end where an unreadable page begins; those before them are watched for writes.
struct guarded {
    uint8_t *bytes;
    size_t count;
    uint8_t *map;
    size_t map_bytes;
};

// `padding` more bytes than `count` may be read; they are filled with ones, which are NaN in every float format.
struct guarded guarded_make(size_t count, size_t padding);
// False if bytes before the first were written.
int guarded_is_intact(const struct guarded *memory);
void guarded_free(struct guarded *memory);
// FLASH_SCRATCH_BYTES for the kernels, filled with ones anew.
void *fresh_scratch(void);

// ---- Matrices (matrices.c) ----

// Row-major 16-bit elements, or 32-bit ones, and the same in every format.
struct matrix {
    int64_t rows, columns;
    enum flash_element element;
    struct guarded elements;
    double *values;  // `[rows, columns]`
};

enum magnitude { ORDINARY, SUBNORMAL, HUGE_WEIGHTS, MAGNITUDES };

struct matrix matrix_make(
    int64_t rows, int64_t columns, enum flash_element element, double density, enum magnitude magnitude);
void matrix_free(struct matrix *matrix);

// An encoded matrix and the memory that it lies in.
struct encoded {
    union {
        struct flash_dense dense;
        struct flash_tiled_bitmap bitmap;
        struct flash_tiled_csl csl;
        struct flash_sliced_ellpack ellpack;
    };
    struct guarded memory[4];
    int memory_count;
};

struct encoded encode_dense(const struct matrix *matrix);
struct encoded encode_bitmap(const struct matrix *matrix);
struct encoded encode_csl(const struct matrix *matrix);
struct encoded encode_ellpack(const struct matrix *matrix);
void encoded_free(struct encoded *encoded);

// ---- The tests ----

void test_products(void);
void test_quantized_products(void);
void test_quantize(void);
void test_weights(void);
void test_packing(void);
void test_attention(void);
void test_elementwise(void);
// The emulated intrinsics: no kernels, but what those of AVX-512 are tested with.
void test_intrinsics(void);

#endif
