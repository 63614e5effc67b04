// The files of kernels that the emulator runs: one of Sources/CCUDA/kernels, one file here, one line here.
#pragma once

#define FLASH_EMULATED_FILES(X) \
    X(bandwidth) \
    X(activation) \
    X(argmax) \
    X(attention) \
    X(embedding) \
    X(functions) \
    X(norm) \
    X(planted) \
    X(probe) \
    X(product) \
    X(rotation) \
    X(spmm_dense) \
    X(spmm_lane_bitmap) \
    X(spmm_lane_stream) \
    X(spmm_tiled_csl)

#define FLASH_EMULATED_FILE(name) void keep_kernels_of_##name();
FLASH_EMULATED_FILES(FLASH_EMULATED_FILE)
#undef FLASH_EMULATED_FILE

// A linker takes a file out of a library only if something names it. Kernels are known by name at run time alone, so
// each of their files has a function that does nothing, and this calls it.
inline void keep_kernels() {
#define FLASH_EMULATED_FILE(name) keep_kernels_of_##name();
    FLASH_EMULATED_FILES(FLASH_EMULATED_FILE)
#undef FLASH_EMULATED_FILE
}
