#include "fake_state.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const size_t memory_bytes = 1 << 30;

FAKE CUresult cuInit(unsigned int flags) {
    ENTER("cuInit");
    return fake_devices() ? 0 : FLASH_CUDA_ERROR_NO_DEVICE;
}
FAKE CUresult cuDriverGetVersion(int *version) {
    *version = fake_version();
    return 0;
}
FAKE CUresult cuGetErrorName(CUresult error, const char **name) {
    *name = error == 2 ? "CUDA_ERROR_OUT_OF_MEMORY" : error == 700 ? "CUDA_ERROR_ILLEGAL_ADDRESS" : NULL;
    return *name ? 0 : FLASH_CUDA_ERROR_INVALID_VALUE;
}
FAKE CUresult cuGetErrorString(CUresult error, const char **text) {
    *text = error == 2 ? "out of memory" : error == 700 ? "an illegal memory access was encountered" : NULL;
    return *text ? 0 : FLASH_CUDA_ERROR_INVALID_VALUE;
}
FAKE CUresult cuDeviceGetCount(int *count) {
    ENTER("cuDeviceGetCount");
    *count = fake_devices();
    return 0;
}
FAKE CUresult cuDeviceGet(CUdevice *device, int ordinal) {
    *device = 40 + ordinal;
    return ordinal < fake_devices() ? 0 : 101;
}
FAKE CUresult cuDeviceGetName(char *name, int length, CUdevice device) {
    snprintf(name, (size_t)length, "Abacus GPU");
    return 0;
}
FAKE CUresult cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
    ENTER("cuDeviceGetAttribute");
    switch (attribute) {
    case FLASH_CUDA_MAX_THREADS_PER_BLOCK: *value = 1024; break;
    case FLASH_CUDA_MAX_GRID_X: *value = 0x7FFFFFFF; break;
    case FLASH_CUDA_MAX_GRID_Y: *value = 65535; break;
    case FLASH_CUDA_MAX_GRID_Z: *value = 65535; break;
    case FLASH_CUDA_MAX_SHARED_BYTES_PER_BLOCK: *value = 48 << 10; break;
    case FLASH_CUDA_CLOCK_KILOHERTZ: *value = 1980000; break;
    case FLASH_CUDA_MULTIPROCESSORS: *value = 132; break;
    case FLASH_CUDA_MEMORY_CLOCK_KILOHERTZ: *value = 2619000; break;
    case FLASH_CUDA_MEMORY_BUS_BITS: *value = 5120; break;
    case FLASH_CUDA_L2_BYTES: *value = 50 << 20; break;
    case FLASH_CUDA_CAPABILITY_MAJOR: *value = 9; break;
    case FLASH_CUDA_CAPABILITY_MINOR: *value = 0; break;
    case FLASH_CUDA_SHARED_BYTES_PER_MULTIPROCESSOR: *value = 228 << 10; break;
    case FLASH_CUDA_MAX_SHARED_BYTES_PER_BLOCK_OPT_IN: *value = 227 << 10; break;
    default: return FLASH_CUDA_ERROR_INVALID_VALUE;
    }
    return 0;
}
FAKE CUresult cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    *bytes = memory_bytes;
    return 0;
}
FAKE CUresult cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    ENTER("cuDevicePrimaryCtxRetain");
    *context = fake_retain_context();
    return 0;
}
FAKE CUresult cuDevicePrimaryCtxRelease_v2(CUdevice device) { return fake_release_context(); }
FAKE CUresult cuCtxSetCurrent(CUcontext context) {
    ENTER("cuCtxSetCurrent");
    fake_set_current(context);
    return 0;
}
FAKE CUresult cuCtxSynchronize(void) {
    ENTER_IN_CONTEXT("cuCtxSynchronize");
    return 0;
}

// ---- Memory: the host's ---------------------------------------------------------------------------------------------


FAKE CUresult cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    ENTER_IN_CONTEXT("cuMemGetInfo_v2");
    *free_bytes = memory_bytes / 4 * 3;
    *total_bytes = memory_bytes;
    return 0;
}
// The object lies before the memory, which so is aligned as the driver's.
FAKE CUresult cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
    ENTER_IN_CONTEXT("cuMemAlloc_v2");
    if (bytes > memory_bytes / 4 * 3) { return FLASH_CUDA_ERROR_OUT_OF_MEMORY; }
    char *block = aligned_alloc(256, 256 + (bytes + 255) / 256 * 256);
    struct fake_object *object = fake_make(FAKE_BUFFER, bytes, block);
    memcpy(block, &object, sizeof object);
    *pointer = (uintptr_t)block + 256;
    return 0;
}
static struct fake_object *buffer_at(CUdeviceptr pointer) {
    struct fake_object *object;
    memcpy(&object, (char *)(uintptr_t)pointer - 256, sizeof object);
    return object;
}
FAKE CUresult cuMemFree_v2(CUdeviceptr pointer) {
    ENTER_IN_CONTEXT("cuMemFree_v2");
    return fake_release(buffer_at(pointer), FAKE_BUFFER);
}
FAKE CUresult cuMemHostAlloc(void **pointer, size_t bytes, unsigned int flags) {
    ENTER_IN_CONTEXT("cuMemHostAlloc");
    CUdeviceptr address = 0;
    char *block = aligned_alloc(256, 256 + (bytes + 255) / 256 * 256);
    struct fake_object *object = fake_make(FAKE_PINNED, bytes, block);
    memcpy(block, &object, sizeof object);
    address = (uintptr_t)block + 256;
    *pointer = (void *)(uintptr_t)address;
    return 0;
}
FAKE CUresult cuMemFreeHost(void *pointer) {
    ENTER_IN_CONTEXT("cuMemFreeHost");
    return fake_release(buffer_at((uintptr_t)pointer), FAKE_PINNED);
}

// Copies and fills happen at once, whatever the stream. A null stream is the default one, which we never use.
static int use(CUstream stream) {
    return fake_is_live(stream, FAKE_STREAM) ? 0 : fake_release(stream, FAKE_STREAM);
}
FAKE CUresult cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    ENTER_IN_CONTEXT("cuMemcpyHtoDAsync_v2");
    memcpy((void *)(uintptr_t)to, from, bytes);
    return use(stream);
}
FAKE CUresult cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    ENTER_IN_CONTEXT("cuMemcpyDtoHAsync_v2");
    memcpy(to, (void *)(uintptr_t)from, bytes);
    return use(stream);
}
FAKE CUresult cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    ENTER_IN_CONTEXT("cuMemcpyDtoDAsync_v2");
    memcpy((void *)(uintptr_t)to, (void *)(uintptr_t)from, bytes);
    return use(stream);
}
FAKE CUresult cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    ENTER_IN_CONTEXT("cuMemsetD8Async");
    memset((void *)(uintptr_t)to, value, count);
    return use(stream);
}
FAKE CUresult cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
    ENTER_IN_CONTEXT("cuMemsetD32Async");
    for (size_t index = 0; index < count; index++) { ((unsigned int *)(uintptr_t)to)[index] = value; }
    return use(stream);
}

// ---- Streams, graphs and events -------------------------------------------------------------------------------------

// A recorded launch of probe_add, of which a graph holds one at most.
struct recording {
    int has_launch;
    struct flash_gpu_probe launch;
};

FAKE CUresult cuStreamCreate(CUstream *stream, unsigned int flags) {
    ENTER_IN_CONTEXT("cuStreamCreate");
    *stream = (CUstream)fake_make(FAKE_STREAM, flags, NULL);
    return 0;
}
FAKE CUresult cuStreamDestroy_v2(CUstream stream) {
    ENTER_IN_CONTEXT("cuStreamDestroy_v2");
    return fake_release(stream, FAKE_STREAM);
}
FAKE CUresult cuStreamSynchronize(CUstream stream) {
    ENTER_IN_CONTEXT("cuStreamSynchronize");
    return use(stream);
}
FAKE CUresult cuStreamWaitEvent(CUstream stream, CUevent event, unsigned int flags) {
    ENTER_IN_CONTEXT("cuStreamWaitEvent");
    return fake_is_live(event, FAKE_EVENT) ? use(stream) : FLASH_CUDA_ERROR_INVALID_VALUE;
}
FAKE CUresult cuStreamBeginCapture_v2(CUstream stream, int mode) {
    ENTER_IN_CONTEXT("cuStreamBeginCapture_v2");
    struct fake_object *object = (struct fake_object *)stream;
    if (object->content) { return 401; }
    object->content = calloc(1, sizeof(struct recording));
    return 0;
}
FAKE CUresult cuStreamEndCapture(CUstream stream, CUgraph *graph) {
    ENTER_IN_CONTEXT("cuStreamEndCapture");
    struct fake_object *object = (struct fake_object *)stream;
    if (!object->content) { return 401; }
    *graph = (CUgraph)fake_make(FAKE_GRAPH, 0, object->content);
    object->content = NULL;
    return 0;
}
FAKE CUresult cuGraphInstantiateWithFlags(CUgraphExec *executable, CUgraph graph, unsigned long long flags) {
    ENTER_IN_CONTEXT("cuGraphInstantiateWithFlags");
    if (!fake_is_live(graph, FAKE_GRAPH)) { return FLASH_CUDA_ERROR_INVALID_VALUE; }
    *executable = (CUgraphExec)fake_make(FAKE_EXECUTABLE, 0, ((struct fake_object *)graph)->content);
    return 0;
}
static void run_probe(const struct flash_gpu_probe *probe) {
    for (unsigned int index = 0; index < probe->count; index++) {
        ((unsigned int *)(uintptr_t)probe->output)[index] =
            ((const unsigned int *)(uintptr_t)probe->input)[index] + probe->addend;
    }
}
FAKE CUresult cuGraphLaunch(CUgraphExec executable, CUstream stream) {
    ENTER_IN_CONTEXT("cuGraphLaunch");
    if (!fake_is_live(executable, FAKE_EXECUTABLE)) { return FLASH_CUDA_ERROR_INVALID_VALUE; }
    const struct recording *recording = ((struct fake_object *)executable)->content;
    if (recording->has_launch) { run_probe(&recording->launch); }
    return use(stream);
}
FAKE CUresult cuGraphExecDestroy(CUgraphExec executable) {
    ENTER_IN_CONTEXT("cuGraphExecDestroy");
    return fake_release(executable, FAKE_EXECUTABLE);
}
FAKE CUresult cuGraphDestroy(CUgraph graph) {
    ENTER_IN_CONTEXT("cuGraphDestroy");
    return fake_release(graph, FAKE_GRAPH);
}
FAKE CUresult cuEventCreate(CUevent *event, unsigned int flags) {
    ENTER_IN_CONTEXT("cuEventCreate");
    *event = (CUevent)fake_make(FAKE_EVENT, flags, NULL);
    return 0;
}
FAKE CUresult cuEventDestroy_v2(CUevent event) {
    ENTER_IN_CONTEXT("cuEventDestroy_v2");
    return fake_release(event, FAKE_EVENT);
}
FAKE CUresult cuEventRecord(CUevent event, CUstream stream) {
    ENTER_IN_CONTEXT("cuEventRecord");
    return fake_is_live(event, FAKE_EVENT) ? use(stream) : FLASH_CUDA_ERROR_INVALID_VALUE;
}
FAKE CUresult cuEventSynchronize(CUevent event) {
    ENTER_IN_CONTEXT("cuEventSynchronize");
    return fake_is_live(event, FAKE_EVENT) ? 0 : FLASH_CUDA_ERROR_INVALID_VALUE;
}
FAKE CUresult cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
    ENTER_IN_CONTEXT("cuEventElapsedTime");
    const int can_time = !(((struct fake_object *)start)->size | ((struct fake_object *)end)->size);
    *milliseconds = 1.5f;
    return can_time ? 0 : 400;
}

// ---- Kernels: the text that the fake compiler made ------------------------------------------------------------------

FAKE CUresult cuModuleLoadData(CUmodule *module, const void *image) {
    ENTER_IN_CONTEXT("cuModuleLoadData");
    if (strncmp(image, "FAKE ", 5)) { return 200; }
    *module = (CUmodule)fake_make(FAKE_MODULE, 0, strdup(image));
    return 0;
}
FAKE CUresult cuModuleUnload(CUmodule module) {
    ENTER_IN_CONTEXT("cuModuleUnload");
    return fake_release(module, FAKE_MODULE);
}
FAKE CUresult cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    ENTER_IN_CONTEXT("cuModuleGetFunction");
    char declaration[128];
    snprintf(declaration, sizeof declaration, "GPU_KERNEL(%s,", name);
    const char *text = strstr(((struct fake_object *)module)->content, declaration);
    *function = (CUfunction)text;
    return text ? 0 : FLASH_CUDA_ERROR_NOT_FOUND;
}
FAKE CUresult cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
    ENTER_IN_CONTEXT("cuFuncGetAttribute");
    *value = attribute == FLASH_CUDA_FUNCTION_MAX_THREADS              ? 256
             : attribute == FLASH_CUDA_FUNCTION_REGISTERS              ? 12
             : attribute == FLASH_CUDA_FUNCTION_STATIC_SHARED_BYTES    ? 1024
                                                                       : 0;
    return 0;
}
FAKE CUresult cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    ENTER_IN_CONTEXT("cuFuncSetAttribute");
    return attribute == FLASH_CUDA_FUNCTION_MAX_DYNAMIC_SHARED_BYTES && value == (226 << 10)
               ? 0
               : FLASH_CUDA_ERROR_INVALID_VALUE;
}
FAKE CUresult cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *bytes) {
    *offset = 0;
    *bytes = sizeof(struct flash_gpu_probe);
    return index ? FLASH_CUDA_ERROR_INVALID_VALUE : 0;
}
FAKE CUresult cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, CUfunction function, int block_threads,
                                                          size_t shared_bytes) {
    ENTER_IN_CONTEXT("cuOccupancyMaxActiveBlocksPerMultiprocessor");
    *blocks = 2048 / block_threads;
    return 0;
}
FAKE CUresult cuLaunchKernel(CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z,
                             unsigned int block_x, unsigned int block_y, unsigned int block_z,
                             unsigned int shared_bytes, CUstream stream, void **parameters, void **extra) {
    ENTER_IN_CONTEXT("cuLaunchKernel");
    const struct flash_gpu_probe *probe = parameters[0];
    struct recording *recording = ((struct fake_object *)stream)->content;
    if (recording) {
        *recording = (struct recording){1, *probe};
    } else {
        run_probe(probe);
    }
    return use(stream);
}

#define FILL(name, arguments) .name = name,
struct flash_cuda_driver fake_cuda_driver(void) {
    return (struct flash_cuda_driver){FLASH_CUDA_DRIVER_FUNCTIONS(FILL).cuFuncGetParamInfo = cuFuncGetParamInfo};
}
