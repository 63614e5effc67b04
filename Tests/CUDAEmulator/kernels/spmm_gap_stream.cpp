#include "spmm_gap_stream.cu"

#include "kernels.h"

void keep_kernels_of_spmm_gap_stream() {}
