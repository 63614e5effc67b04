#include "CKernels.h"
#include "tables.h"

#if defined(__aarch64__)
#pragma clang attribute push(__attribute__((target("dotprod"))), apply_to = function)
#define NEON_DOT_PRODUCT
#include "vectors/neon.h"
#include "kernels/all.inc.h"

const struct flash_kernels flash_kernels_neon_dotprod = KERNEL_TABLE("neon-dotprod", NULL);
#pragma clang attribute pop
#endif
