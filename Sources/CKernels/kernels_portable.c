#include "CKernels.h"
#include "tables.h"
#include "vectors/portable.h"
#include "kernels/all.inc.h"

const struct flash_kernels flash_kernels_portable = KERNEL_TABLE("portable", NULL);
