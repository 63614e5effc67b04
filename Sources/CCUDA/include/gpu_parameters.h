#ifndef FLASH_LLM_GPU_PARAMETERS_H
#define FLASH_LLM_GPU_PARAMETERS_H

// What the host passes to kernels, one struct for each family. Read by the C compiler for the host and by NVRTC for the
// device, so it includes nothing: `unsigned long long` is a device address, and every field lies at a multiple of its
// size.

// output[i] = input[i] + addend: the least kernel, with which the driver layer is tried.
struct flash_gpu_probe {
    unsigned long long input;   // unsigned int [count]
    unsigned long long output;  // unsigned int [count]
    unsigned int count;
    unsigned int addend;
};

#endif
