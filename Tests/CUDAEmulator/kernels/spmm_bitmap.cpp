#include "spmm_bitmap.cu"

#include "kernels.h"

void keep_kernels_of_spmm_bitmap() {}
