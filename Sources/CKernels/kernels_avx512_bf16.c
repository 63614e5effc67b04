#include "CKernels.h"
#include "tables.h"

#if defined(__x86_64__)
#pragma clang attribute push( \
    __attribute__((target(                                                                                      \
        "avx512f,avx512bw,avx512dq,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,avx512bf16,avx2,fma,f16c,bmi2,"   \
        "popcnt"))),                                                                                            \
    apply_to = function)
#include "vectors/avx512.h"
#include "vectors/avx512_bf16.h"
#include "kernels/blocking.inc.h"
#include "kernels/bf16_products.inc.h"

void flash_product_bf16_avx512(
    const struct flash_dense *matrix, int64_t first_row, int64_t end_row, const struct flash_operands *operands) {
    product_bf16(matrix, first_row, end_row, operands);
}
#pragma clang attribute pop
#endif
