#ifndef FLASH_LLM_CCUDA_H
#define FLASH_LLM_CCUDA_H

#include "cuda_driver.h"
#include "cuda_libraries.h"
#include "gpu_parameters.h"
#include "gpu_peers.h"
#include "gpu_sources.h"

#endif
