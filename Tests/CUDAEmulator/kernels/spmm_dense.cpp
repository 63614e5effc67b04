#include "spmm_dense.cu"

#include "kernels.h"

void keep_kernels_of_spmm_dense() {}
