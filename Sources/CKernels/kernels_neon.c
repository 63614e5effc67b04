#include "CKernels.h"
#include "tables.h"

#if defined(__aarch64__)
#include "vectors/neon.h"
#include "kernels/all.inc.h"

const struct flash_kernels flash_kernels_neon = KERNEL_TABLE("neon", NULL);
#endif
