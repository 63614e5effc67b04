#include "operations.h"

#include "CKernels.h"

#include <stddef.h>

static const struct operation none[] = {{NULL, 0, NULL}};

#if defined(__x86_64__)
#include <immintrin.h>

#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni"))), \
    apply_to = function)
#include "operations.inc.h"
#pragma clang attribute pop

static const struct operation all[] = {OPERATIONS(ROW){NULL, 0, NULL}};

const struct operation *native_operations(void) { return flash_kernels_select("avx512") != NULL ? all : none; }
#else
const struct operation *native_operations(void) { return none; }
#endif
