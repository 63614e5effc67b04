#include "norm.cu"

#include "kernels.h"

void keep_kernels_of_norm() {}
