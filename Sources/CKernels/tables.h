#ifndef FLASH_LLM_TABLES_H
#define FLASH_LLM_TABLES_H

#include "CKernels.h"

extern const struct flash_kernels flash_kernels_portable;
#if defined(__x86_64__)
extern const struct flash_kernels flash_kernels_avx2;
extern const struct flash_kernels flash_kernels_avx512;
// Fills the AVX2 expansion table; must run before its kernels do, may run again.
void flash_prepare_avx2(void);
#endif

#endif
