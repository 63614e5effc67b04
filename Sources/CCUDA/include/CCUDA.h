#ifndef FLASH_LLM_CCUDA_H
#define FLASH_LLM_CCUDA_H

#include "cuda_driver.h"
#include "gpu_parameters.h"

#endif
