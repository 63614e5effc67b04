#ifndef FLASH_LLM_TABLES_H
#define FLASH_LLM_TABLES_H

#include "CKernels.h"

extern const struct flash_kernels flash_kernels_portable;
#if defined(__x86_64__)
extern const struct flash_kernels flash_kernels_avx2;
extern const struct flash_kernels flash_kernels_avx512;
extern const struct flash_kernels flash_kernels_avx512_bf16;
void flash_product_bf16_avx512(
    const struct flash_dense *matrix, int64_t first_row, int64_t end_row, const struct flash_operands *operands);
#elif defined(__aarch64__)
extern const struct flash_kernels flash_kernels_neon;
extern const struct flash_kernels flash_kernels_neon_dotprod;
#endif

#endif
