#ifndef FLASH_LLM_CUDA_DRIVER_H
#define FLASH_LLM_CUDA_DRIVER_H

// The part of the CUDA driver API and of NVRTC that we call: our own declarations of their ABI, and tables of function
// pointers that a loader (or the emulator of the tests) fills. Nothing here needs CUDA to build or to start.
// Source: CUDA Driver API and NVRTC reference, 12.0 to 13.0; names carry the ABI's version suffix.

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef int CUresult;  // 0 is success
typedef int CUdevice;
typedef unsigned long long CUdeviceptr;
typedef struct flash_cuda_context *CUcontext;
typedef struct flash_cuda_module *CUmodule;
typedef struct flash_cuda_function *CUfunction;
typedef struct flash_cuda_stream *CUstream;
typedef struct flash_cuda_event *CUevent;
typedef struct flash_cuda_graph *CUgraph;
typedef struct flash_cuda_graph_exec *CUgraphExec;
typedef int nvrtcResult;  // 0 is success
typedef struct flash_nvrtc_program *nvrtcProgram;

// X(name, arguments)
#define FLASH_CUDA_DRIVER_FUNCTIONS(X)                                                                              \
    X(cuInit, (unsigned int flags))                                                                                 \
    X(cuDriverGetVersion, (int *version))                                                                           \
    X(cuGetErrorName, (CUresult error, const char **name))                                                          \
    X(cuGetErrorString, (CUresult error, const char **text))                                                        \
    X(cuDeviceGetCount, (int *count))                                                                               \
    X(cuDeviceGet, (CUdevice *device, int ordinal))                                                                 \
    X(cuDeviceGetName, (char *name, int length, CUdevice device))                                                   \
    X(cuDeviceGetAttribute, (int *value, int attribute, CUdevice device))                                           \
    X(cuDeviceTotalMem_v2, (size_t *bytes, CUdevice device))                                                        \
    X(cuDevicePrimaryCtxRetain, (CUcontext *context, CUdevice device))                                              \
    X(cuDevicePrimaryCtxRelease_v2, (CUdevice device))                                                              \
    X(cuCtxSetCurrent, (CUcontext context))                                                                         \
    X(cuCtxSynchronize, (void))                                                                                     \
    X(cuMemGetInfo_v2, (size_t *free_bytes, size_t *total_bytes))                                                   \
    X(cuMemAlloc_v2, (CUdeviceptr *pointer, size_t bytes))                                                          \
    X(cuMemFree_v2, (CUdeviceptr pointer))                                                                          \
    X(cuMemHostAlloc, (void **pointer, size_t bytes, unsigned int flags))                                           \
    X(cuMemFreeHost, (void *pointer))                                                                               \
    X(cuMemcpyHtoDAsync_v2, (CUdeviceptr to, const void *from, size_t bytes, CUstream stream))                      \
    X(cuMemcpyDtoHAsync_v2, (void *to, CUdeviceptr from, size_t bytes, CUstream stream))                            \
    X(cuMemcpyDtoDAsync_v2, (CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream))                      \
    X(cuMemsetD8Async, (CUdeviceptr to, unsigned char value, size_t count, CUstream stream))                        \
    X(cuMemsetD32Async, (CUdeviceptr to, unsigned int value, size_t count, CUstream stream))                        \
    X(cuStreamCreate, (CUstream *stream, unsigned int flags))                                                       \
    X(cuStreamDestroy_v2, (CUstream stream))                                                                        \
    X(cuStreamSynchronize, (CUstream stream))                                                                       \
    X(cuStreamWaitEvent, (CUstream stream, CUevent event, unsigned int flags))                                      \
    X(cuStreamBeginCapture_v2, (CUstream stream, int mode))                                                         \
    X(cuStreamEndCapture, (CUstream stream, CUgraph *graph))                                                        \
    X(cuGraphInstantiateWithFlags, (CUgraphExec *executable, CUgraph graph, unsigned long long flags))              \
    X(cuGraphLaunch, (CUgraphExec executable, CUstream stream))                                                     \
    X(cuGraphExecDestroy, (CUgraphExec executable))                                                                 \
    X(cuGraphDestroy, (CUgraph graph))                                                                              \
    X(cuEventCreate, (CUevent *event, unsigned int flags))                                                          \
    X(cuEventDestroy_v2, (CUevent event))                                                                           \
    X(cuEventRecord, (CUevent event, CUstream stream))                                                              \
    X(cuEventSynchronize, (CUevent event))                                                                          \
    X(cuEventElapsedTime, (float *milliseconds, CUevent start, CUevent end))                                        \
    X(cuModuleLoadData, (CUmodule *module, const void *image))                                                      \
    X(cuModuleUnload, (CUmodule module))                                                                            \
    X(cuModuleGetFunction, (CUfunction *function, CUmodule module, const char *name))                               \
    X(cuFuncGetAttribute, (int *value, int attribute, CUfunction function))                                         \
    X(cuFuncSetAttribute, (CUfunction function, int attribute, int value))                                          \
    X(cuOccupancyMaxActiveBlocksPerMultiprocessor,                                                                  \
      (int *blocks, CUfunction function, int block_threads, size_t shared_bytes))                                   \
    X(cuLaunchKernel,                                                                                               \
      (CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x,    \
       unsigned int block_y, unsigned int block_z, unsigned int shared_bytes, CUstream stream, void **parameters,   \
       void **extra))

#define FLASH_NVRTC_FUNCTIONS(X)                                                                                    \
    X(nvrtcVersion, (int *major, int *minor))                                                                       \
    X(nvrtcCreateProgram, (nvrtcProgram *program, const char *source, const char *name, int header_count,           \
                           const char *const *headers, const char *const *header_names))                            \
    X(nvrtcCompileProgram, (nvrtcProgram program, int option_count, const char *const *options))                    \
    X(nvrtcGetProgramLogSize, (nvrtcProgram program, size_t *bytes))                                                \
    X(nvrtcGetProgramLog, (nvrtcProgram program, char *log))                                                        \
    X(nvrtcGetCUBINSize, (nvrtcProgram program, size_t *bytes))                                                     \
    X(nvrtcGetCUBIN, (nvrtcProgram program, char *cubin))                                                           \
    X(nvrtcDestroyProgram, (nvrtcProgram *program))

#define FLASH_CUDA_FIELD(name, arguments) CUresult(*name) arguments;
struct flash_cuda_driver {
    FLASH_CUDA_DRIVER_FUNCTIONS(FLASH_CUDA_FIELD)
};

struct flash_nvrtc {
    FLASH_NVRTC_FUNCTIONS(FLASH_CUDA_FIELD)
    const char *(*nvrtcGetErrorString)(nvrtcResult result);
};
#undef FLASH_CUDA_FIELD

// Fills `driver` from libcuda. Returns null, or why not: a static text or one that lives until the next call on this
// thread. A table that was not filled wholly must not be used.
const char *flash_cuda_load_driver(struct flash_cuda_driver *driver);
// Fills `nvrtc` from the library at `path`, or, where null, from the usual names (libnvrtc.so.13, .12).
const char *flash_cuda_load_nvrtc(struct flash_nvrtc *nvrtc, const char *path);

#ifdef __cplusplus
}
#endif

#endif
