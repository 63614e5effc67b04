#include "operations.h"

#include "CKernels.h"

#include <stddef.h>

static const struct operation none[] = {{NULL, 0, NULL}};

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,avx512bf16"))), \
    apply_to = function)
#include "operations.inc.h"
#pragma clang attribute pop

static const struct operation all[] = {BF16_OPERATIONS(ROW) OPERATIONS(ROW){NULL, 0, NULL}};
static const struct operation without_bf16[] = {OPERATIONS(ROW){NULL, 0, NULL}};

const struct operation *native_operations(void) {
    const struct flash_kernels *avx512 = flash_kernels_select("avx512");
    return avx512 == NULL ? none : avx512->product_bf16 != NULL ? all : without_bf16;
}
#else
const struct operation *native_operations(void) { return none; }
#endif
