#ifndef FLASH_LLM_TEST_KERNELS_H
#define FLASH_LLM_TEST_KERNELS_H

// What the kernels take that test the emulator itself.

// Kernels with a mistake (planted.cu): `is_wrong` 0 runs the right twin.
struct flash_gpu_planted {
    unsigned long long input;   // unsigned int [count]
    unsigned long long output;  // unsigned int [count]
    unsigned int count;
    unsigned int is_wrong;
};

// output[r, t] = sum over k of weights[r, k] * input[t, k] (product.cu).
struct flash_gpu_dense_product {
    unsigned long long weights;  // f16 [rows, depth]
    unsigned long long input;    // f16 [tokens, depth]
    unsigned long long output;   // float [rows, tokens]
    unsigned int rows, tokens, depth;
    unsigned int padding;
};

// Every function of gpu.cuh by itself (functions.cu); each kernel says what it makes of these.
struct flash_gpu_functions {
    unsigned long long a, b, c;  // inputs, unsigned int each if nothing else is said
    unsigned long long output;
    unsigned int count;
    unsigned int choice;
};

#endif
