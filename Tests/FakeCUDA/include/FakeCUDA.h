#ifndef FLASH_LLM_FAKE_CUDA_H
#define FLASH_LLM_FAKE_CUDA_H

#include <CCUDA.h>

// A driver and a compiler that do next to nothing, and count everything: what was made and not released, what was
// released twice, and what was called without a current context. Their one GPU is made up; of kernels they run
// probe_add only, at once, on memory of the host. With FAKE_CUDA_EXPORTS defined, the files make a library with the
// names of NVIDIA's.

#ifdef __cplusplus
extern "C" {
#endif

struct flash_cuda_driver fake_cuda_driver(void);
struct flash_nvrtc fake_nvrtc(void);

// Things of a kind that were made and not yet released.
enum fake_kind {
    FAKE_CONTEXT,
    FAKE_BUFFER,
    FAKE_PINNED,
    FAKE_STREAM,
    FAKE_EVENT,
    FAKE_MODULE,
    FAKE_GRAPH,
    FAKE_EXECUTABLE,
    FAKE_PROGRAM,
    FAKE_KINDS
};
long fake_live(int kind);
// Releases of what was not there any more, and calls without a current context.
long fake_misuses(void);
// Programs that were compiled.
long fake_compilations(void);
// Lets the next call of `name` return `code`.
void fake_fail_next(const char *name, int code);
// How many GPUs there are, 0 or 1 (the default), and what CUDA the driver is for (12040 is 12.4, the default).
void fake_set_devices(int count);
void fake_set_version(int version);

#ifdef __cplusplus
}
#endif

#endif
