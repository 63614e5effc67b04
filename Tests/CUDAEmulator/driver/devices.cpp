// Devices and contexts.
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "device/report.h"
#include "driver.h"

using namespace emulator;

namespace emulator {

static thread_local flash_cuda_context *current_context;

static bool is_live(const flash_cuda_context *context) {
    for (const auto &other : driver.contexts) {
        if (other.get() == context) return context->users > 0;
    }
    return false;
}

Call::Call(Need need) : error(success), lock(driver.mutex) {
    if (need != nothing && !driver.is_initialized) error = not_initialized;
    if (error != success || need != context) return;
    current = current_context;
    if (!is_live(current)) {
        error = invalid_context;
    } else {
        error = current->error;
    }
}

CUresult refuse(CUresult error, const char *format, ...) {
    char text[500];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    write_report("%s", text);
    return error;
}

// CUDA C++ Programming Guide 13.0, table of technical specifications per compute capability.
Limits limits() {
    const int capability = driver.options.capability_major * 10 + driver.options.capability_minor;
    if (capability == 75) return {64 << 10, 64 << 10, 1024, 16};
    if (capability == 80 || capability == 87) return {163 << 10, 164 << 10, 2048, 32};
    if (capability == 86) return {99 << 10, 100 << 10, 1536, 16};
    if (capability == 89) return {99 << 10, 100 << 10, 1536, 24};
    if (capability == 120) return {99 << 10, 100 << 10, 1536, 24};
    return {227 << 10, 228 << 10, 2048, 32};
}

static bool is_device(CUdevice device) { return device >= 0 && device < driver.options.devices; }

// By the numbers of CUdevice_attribute.
static CUresult attribute(int number, int &value) {
    const flash_emulator_options &options = driver.options;
    switch (number) {
        case 1: value = 1024; return success;                                     // threads per block
        case 2: case 3: value = 1024; return success;                             // block x, y
        case 4: value = 64; return success;                                       // block z
        case 5: value = 0x7fffffff; return success;                               // grid x
        case 6: case 7: value = 65535; return success;                            // grid y, z
        case 8: value = default_shared_bytes; return success;                     // shared memory per block
        case 9: value = 64 << 10; return success;                                 // constant memory
        case 10: value = 32; return success;                                      // lanes per warp
        case 12: case 82: value = 65536; return success;                          // registers per block, multiprocessor
        case 13: value = 1'755'000; return success;                               // clock, kHz
        case 16: value = options.multiprocessors; return success;
        case 31: case 41: value = 1; return success;                              // concurrent kernels, addresses
        case 33: case 34: case 50: value = 0; return success;                     // place on the PCI bus
        case 36: value = 2'619'000; return success;                               // memory clock, kHz
        case 37: value = 5120; return success;                                    // memory bus, bits
        case 38: value = 50 << 20; return success;                                // second-level cache
        case 39: value = limits().threads_of_multiprocessor; return success;
        case 40: value = 3; return success;                                       // copy engines
        case 75: value = options.capability_major; return success;
        case 76: value = options.capability_minor; return success;
        case 81: value = limits().shared_bytes_of_multiprocessor; return success;
        case 97: value = limits().shared_bytes_of_block; return success;          // shared memory per block, asked for
        case 106: value = limits().blocks_of_multiprocessor; return success;
        case 111: value = 1024; return success;                                   // shared memory that the system takes
        default: return refuse(invalid_value, "cuDeviceGetAttribute: attribute %d is not emulated", number);
    }
}

}  // namespace emulator

CUresult emulated_cuInit(unsigned int flags) {
    const Call call(Call::nothing);
    if (flags != 0) return invalid_value;
    if (driver.options.devices == 0) return no_device;
    driver.is_initialized = true;
    if (driver.contexts.empty()) {
        for (int i = 0; i < driver.options.devices; i++) {
            driver.contexts.push_back(std::make_unique<flash_cuda_context>(flash_cuda_context{i, 0, success}));
        }
        driver.used_bytes.resize(size_t(driver.options.devices));
    }
    return success;
}

CUresult emulated_cuDriverGetVersion(int *version) {
    *version = 13000;
    return success;
}

namespace {

struct ErrorText {
    int error;
    const char *name, *text;
};
const ErrorText error_texts[] = {
    {0, "CUDA_SUCCESS", "no error"},
    {1, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {2, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {3, "CUDA_ERROR_NOT_INITIALIZED", "initialization error"},
    {100, "CUDA_ERROR_NO_DEVICE", "no CUDA-capable device is detected"},
    {101, "CUDA_ERROR_INVALID_DEVICE", "invalid device ordinal"},
    {200, "CUDA_ERROR_INVALID_IMAGE", "device kernel image is invalid"},
    {201, "CUDA_ERROR_INVALID_CONTEXT", "invalid device context"},
    {209, "CUDA_ERROR_NO_BINARY_FOR_GPU", "no kernel image is available for execution on the device"},
    {400, "CUDA_ERROR_INVALID_HANDLE", "invalid resource handle"},
    {500, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered"},
    {701, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES", "too many resources requested for launch"},
    {716, "CUDA_ERROR_MISALIGNED_ADDRESS", "misaligned address"},
    {719, "CUDA_ERROR_LAUNCH_FAILED", "unspecified launch failure"},
    {900, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED", "operation not permitted when stream is capturing"},
    {901, "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED", "operation failed due to a previous error during capture"},
    {903, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED", "stream capture was not initiated in this stream"},
};

const ErrorText *text_of(int error) {
    for (const ErrorText &text : error_texts) {
        if (text.error == error) return &text;
    }
    return nullptr;
}

}  // namespace

CUresult emulated_cuGetErrorName(CUresult error, const char **name) {
    const ErrorText *text = text_of(error);
    *name = text == nullptr ? nullptr : text->name;
    return text == nullptr ? invalid_value : success;
}

CUresult emulated_cuGetErrorString(CUresult error, const char **string) {
    const ErrorText *text = text_of(error);
    *string = text == nullptr ? nullptr : text->text;
    return text == nullptr ? invalid_value : success;
}

CUresult emulated_cuDeviceGetCount(int *count) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    *count = driver.options.devices;
    return success;
}

CUresult emulated_cuDeviceGet(CUdevice *device, int ordinal) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    if (!is_device(ordinal)) return invalid_device;
    *device = ordinal;
    return success;
}

CUresult emulated_cuDeviceGetName(char *name, int length, CUdevice device) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    if (!is_device(device)) return invalid_device;
    if (length < 1) return invalid_value;
    std::snprintf(name, size_t(length), "Emulated GPU");
    return success;
}

CUresult emulated_cuDeviceGetAttribute(int *value, int number, CUdevice device) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    if (!is_device(device)) return invalid_device;
    return attribute(number, *value);
}

CUresult emulated_cuDeviceTotalMem_v2(size_t *bytes, CUdevice device) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    if (!is_device(device)) return invalid_device;
    *bytes = driver.options.memory_bytes;
    return success;
}

CUresult emulated_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    if (!is_device(device)) return invalid_device;
    *context = driver.contexts[size_t(device)].get();
    (*context)->users++;
    return success;
}

CUresult emulated_cuDevicePrimaryCtxRelease_v2(CUdevice device) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    if (!is_device(device)) return invalid_device;
    flash_cuda_context &context = *driver.contexts[size_t(device)];
    if (context.users == 0) return invalid_context;
    if (--context.users == 0) {
        release_memory_of(device);
        context.error = success;
    }
    return success;
}

CUresult emulated_cuCtxSetCurrent(CUcontext context) {
    const Call call(Call::initialization);
    if (call.error != success) return call.error;
    if (context != nullptr && !is_live(context)) return invalid_context;
    current_context = context;
    return success;
}

CUresult emulated_cuCtxSynchronize(void) {
    const Call call(Call::context);
    return call.error;
}
