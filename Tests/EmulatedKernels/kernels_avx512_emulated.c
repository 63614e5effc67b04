#include "EmulatedKernels.h"

#include "intrinsics/avx512.h"

#include "../../Sources/CKernels/vectors/avx512.h"

#include "../../Sources/CKernels/kernels/all.inc.h"

static const struct flash_kernels kernels = KERNEL_TABLE("avx512-emulated");

const struct flash_kernels *emulated_avx512_kernels(void) { return &kernels; }
