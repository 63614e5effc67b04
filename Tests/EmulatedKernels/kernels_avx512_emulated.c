#include "EmulatedKernels.h"

#include "intrinsics/avx512.h"

#include "../../Sources/CKernels/vectors/avx512.h"

#include "../../Sources/CKernels/vectors/avx512_bf16.h"

#include "../../Sources/CKernels/kernels/all.inc.h"

#include "../../Sources/CKernels/kernels/bf16_products.inc.h"

static const struct flash_kernels kernels = KERNEL_TABLE("avx512-emulated", product_bf16);

const struct flash_kernels *emulated_avx512_kernels(void) { return &kernels; }
