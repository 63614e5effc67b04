#include "spmm_tiled_csl.cu"

#include "kernels.h"

void keep_kernels_of_spmm_tiled_csl() {}
