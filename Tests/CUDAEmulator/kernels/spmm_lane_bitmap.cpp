#include "spmm_lane_bitmap.cu"

#include "kernels.h"

void keep_kernels_of_spmm_lane_bitmap() {}
