#ifndef FLASH_LLM_CKERNELS_H
#define FLASH_LLM_CKERNELS_H

#include <stdint.h>

// CPU kernels. No allocation, no threads, no I/O.

#endif
