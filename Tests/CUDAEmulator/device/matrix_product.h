// Tensor cores: a product of a warp's fragments.
#pragma once

#include "interface.h"

namespace emulator {

// `arguments` are the 32 lanes' Products. Products of elements are exact, 16 of them are summed in double precision,
// and the sum with the old value is rounded once.
void multiply_f16(void *const *arguments);
void multiply_bf16(void *const *arguments);

}  // namespace emulator
