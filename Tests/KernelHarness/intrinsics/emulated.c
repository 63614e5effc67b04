#include "operations.h"

#include "../../EmulatedKernels/intrinsics/avx512.h"

#include <stddef.h>

#include "operations.inc.h"

const struct operation emulated_operations[] = {OPERATIONS(ROW) BF16_OPERATIONS(ROW){NULL, 0, NULL}};
