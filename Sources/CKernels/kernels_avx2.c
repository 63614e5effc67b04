#include "CKernels.h"
#include "tables.h"

#if defined(__x86_64__)
#pragma clang attribute push(__attribute__((target("avx2,fma,f16c,bmi2,popcnt"))), apply_to = function)
#include "vectors/avx2.h"
#include "kernels/all.inc.h"

const struct flash_kernels flash_kernels_avx2 = KERNEL_TABLE("avx2", NULL);
#pragma clang attribute pop
#endif
