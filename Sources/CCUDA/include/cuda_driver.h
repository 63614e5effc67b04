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

// CUlaunchAttribute: a number and a value of 64 bytes, of which the attribute that we use takes the first four.
struct flash_cuda_launch_attribute {
    unsigned int id;
    unsigned int padding;
    unsigned int value[16];
};
// CUlaunchConfig
struct flash_cuda_launch {
    unsigned int grid_x, grid_y, grid_z;
    unsigned int block_x, block_y, block_z;
    unsigned int shared_bytes;
    CUstream stream;
    struct flash_cuda_launch_attribute *attributes;
    unsigned int attribute_count;
};
// The kernel may begin before the one before it in the stream has ended (CUlaunchAttributeID).
enum { FLASH_CUDA_LAUNCH_PROGRAMMATIC_SERIALIZATION = 6 };

#define FLASH_CUDA_FIELD(name, arguments) CUresult(*name) arguments;
struct flash_cuda_driver {
    FLASH_CUDA_DRIVER_FUNCTIONS(FLASH_CUDA_FIELD)
    // Where the driver has it (CUDA 12.4), else null: without it the size of a kernel's parameters is not checked.
    CUresult (*cuFuncGetParamInfo)(CUfunction function, size_t index, size_t *offset, size_t *bytes);
    // Where the driver has it (CUDA 11.8), else null: kernels are not launched early then.
    CUresult (*cuLaunchKernelEx)(
        const struct flash_cuda_launch *launch, CUfunction function, void **parameters, void **extra);
};

struct flash_nvrtc {
    FLASH_NVRTC_FUNCTIONS(FLASH_CUDA_FIELD)
    const char *(*nvrtcGetErrorString)(nvrtcResult result);
};
#undef FLASH_CUDA_FIELD

// The results that we tell apart (CUresult, nvrtcResult).
enum {
    FLASH_CUDA_SUCCESS = 0,
    FLASH_CUDA_ERROR_INVALID_VALUE = 1,
    FLASH_CUDA_ERROR_OUT_OF_MEMORY = 2,
    FLASH_CUDA_ERROR_NO_DEVICE = 100,
    FLASH_CUDA_ERROR_NOT_FOUND = 500,
    FLASH_NVRTC_ERROR_COMPILATION = 6
};

// The attributes of devices that we ask for (CUdevice_attribute).
enum {
    FLASH_CUDA_MAX_THREADS_PER_BLOCK = 1,
    FLASH_CUDA_MAX_GRID_X = 5,
    FLASH_CUDA_MAX_GRID_Y = 6,
    FLASH_CUDA_MAX_GRID_Z = 7,
    FLASH_CUDA_MAX_SHARED_BYTES_PER_BLOCK = 8,
    FLASH_CUDA_CLOCK_KILOHERTZ = 13,
    FLASH_CUDA_MULTIPROCESSORS = 16,
    FLASH_CUDA_MEMORY_CLOCK_KILOHERTZ = 36,
    FLASH_CUDA_MEMORY_BUS_BITS = 37,
    FLASH_CUDA_L2_BYTES = 38,
    FLASH_CUDA_CAPABILITY_MAJOR = 75,
    FLASH_CUDA_CAPABILITY_MINOR = 76,
    FLASH_CUDA_SHARED_BYTES_PER_MULTIPROCESSOR = 81,
    FLASH_CUDA_MAX_SHARED_BYTES_PER_BLOCK_OPT_IN = 97
};

// The attributes of kernels that we ask for or set (CUfunction_attribute).
enum {
    FLASH_CUDA_FUNCTION_MAX_THREADS = 0,
    FLASH_CUDA_FUNCTION_STATIC_SHARED_BYTES = 1,
    FLASH_CUDA_FUNCTION_LOCAL_BYTES = 3,
    FLASH_CUDA_FUNCTION_REGISTERS = 4,
    FLASH_CUDA_FUNCTION_MAX_DYNAMIC_SHARED_BYTES = 8
};

// Flags and modes of the calls.
enum {
    FLASH_CUDA_STREAM_NON_BLOCKING = 1,
    FLASH_CUDA_EVENT_DISABLE_TIMING = 2,
    FLASH_CUDA_CAPTURE_THREAD_LOCAL = 1
};

// Fills `driver` from libcuda. Returns null, or why not: a static text or one that lives until the next call on this
// thread. A table that was not filled wholly must not be used.
const char *flash_cuda_load_driver(struct flash_cuda_driver *driver);
// Fills `nvrtc` from the library at `path`, or, where null, from libnvrtc.so.13 or .12 in the usual places, the one of
// `first_major` first: a driver takes code of its own major version's compiler or of an older one. Returns as above.
const char *flash_cuda_load_nvrtc(struct flash_nvrtc *nvrtc, const char *path, int first_major);

// The name of the first entry that is null, the optional ones aside; null if the table is whole.
const char *flash_cuda_missing_function(const struct flash_cuda_driver *driver);
const char *flash_nvrtc_missing_function(const struct flash_nvrtc *nvrtc);

// The file that holds the table's functions; null if the system does not say. Lives as long as the process.
const char *flash_cuda_driver_path(const struct flash_cuda_driver *driver);
const char *flash_nvrtc_path(const struct flash_nvrtc *nvrtc);

#ifdef __cplusplus
}
#endif

#endif
