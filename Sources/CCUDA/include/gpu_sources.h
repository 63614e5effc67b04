#ifndef FLASH_LLM_GPU_SOURCES_H
#define FLASH_LLM_GPU_SOURCES_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

// The sources of the GPU kernels, embedded: every file of the folder `kernels`, and gpu_parameters.h. They are
// functions because Swift cannot import arrays of unknown length.

int flash_gpu_source_count(void);
// For an index below the count: the name that an #include gives it, its text, ended by a zero, and the text's bytes
// without that zero.
const char *flash_gpu_source_name(int index);
const char *flash_gpu_source_text(int index);
size_t flash_gpu_source_length(int index);

#ifdef __cplusplus
}
#endif

#endif
