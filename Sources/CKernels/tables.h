#ifndef FLASH_LLM_TABLES_H
#define FLASH_LLM_TABLES_H

#include "CKernels.h"

extern const struct flash_kernels flash_kernels_portable;
#if defined(__x86_64__)
extern const struct flash_kernels flash_kernels_avx2;
extern const struct flash_kernels flash_kernels_avx512;
#elif defined(__aarch64__)
extern const struct flash_kernels flash_kernels_neon;
extern const struct flash_kernels flash_kernels_neon_dotprod;
#endif

#endif
