#ifndef FLASH_LLM_EMULATED_KERNELS_H
#define FLASH_LLM_EMULATED_KERNELS_H

#include "CKernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/// The kernels of AVX-512, compiled over an emulation of its instructions: the table "avx512-emulated". For tests
/// alone, on any processor. Sliced ELLPACK takes the path with the gather instruction.
const struct flash_kernels *emulated_avx512_kernels(void);

#ifdef __cplusplus
}
#endif

#endif
