#include "functions.cu"

#include "kernels.h"

void keep_kernels_of_functions() {}
