#include "CKernels.h"
#include "tables.h"

#if defined(__x86_64__)
#pragma clang attribute push( \
    __attribute__((target(                  \
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,avx2,fma,f16c,bmi2,popcnt"))), \
    apply_to = function)
#include "vectors/avx512.h"
#include "kernels/all.inc.h"

const struct flash_kernels flash_kernels_avx512 = KERNEL_TABLE("avx512", NULL);
// Of the same name, for processors that have AVX-512 BF16, too.
const struct flash_kernels flash_kernels_avx512_bf16 = KERNEL_TABLE("avx512", flash_product_bf16_avx512);
#pragma clang attribute pop
#endif
