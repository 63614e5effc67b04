// Modules, functions and launches.
#include <algorithm>
#include <cstring>

#include "device/global_memory.h"
#include "driver.h"
#include "image.h"

using namespace emulator;

namespace emulator {

CUresult run_kernel(int device, const Launch &launch) {
    machine.seed = driver.options.seed;
    machine.timing = driver.options.timing == FLASH_EMULATOR_LAZY    ? Timing::lazy
                     : driver.options.timing == FLASH_EMULATOR_EAGER ? Timing::eager
                                                                     : Timing::random;
    device_of_launch = device;
    return run_launch(launch);
}

static CUresult check_launch(
    const flash_cuda_function &function, const u32 (&grid)[3], const u32 (&block)[3], u32 bytes) {
    const Kernel &kernel = *function.kernel;
    if (grid[0] == 0 || grid[1] == 0 || grid[2] == 0 || grid[0] > 0x7fffffff || grid[1] > 65535 || grid[2] > 65535) {
        return refuse(invalid_value, "%s: a grid of %u x %u x %u", kernel.name, grid[0], grid[1], grid[2]);
    }
    // Kernels know no y and z of a thread.
    if (block[0] == 0 || block[0] > most_threads || block[1] != 1 || block[2] != 1) {
        return refuse(invalid_value, "%s: blocks of %u x %u x %u", kernel.name, block[0], block[1], block[2]);
    }
    if (block[0] > kernel.most_threads) {
        return refuse(
            out_of_resources, "%s: %u threads, compiled for at most %u", kernel.name, block[0], kernel.most_threads);
    }
    if (bytes > u32(function.most_shared_bytes)) {
        return refuse(
            invalid_value, "%s: %u bytes of shared memory, at most %d", kernel.name, bytes, function.most_shared_bytes);
    }
    return success;
}

}  // namespace emulator

CUresult emulated_cuModuleLoadData(CUmodule *module, const void *image) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    Image header;
    std::memcpy(header.magic, image, sizeof header.magic);
    if (std::memcmp(header.magic, image_magic, sizeof image_magic) != 0) {
        return refuse(invalid_image, "cuModuleLoadData: this image was not made by the emulator's NVRTC");
    }
    std::memcpy(&header, image, sizeof header);
    // Code of a capability runs on that and on later ones of the same major number.
    const flash_emulator_options &options = driver.options;
    if (header.architecture / 10 != options.capability_major || header.architecture % 10 > options.capability_minor) {
        return refuse(
            no_binary_for_device, "cuModuleLoadData: compiled for sm_%d, the device has %d.%d", header.architecture,
            options.capability_major, options.capability_minor);
    }
    *module = driver.modules.add({});
    return success;
}

CUresult emulated_cuModuleUnload(CUmodule module) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.modules.remove(module)) return invalid_handle;
    driver.functions.remove_where([&](const flash_cuda_function &function) { return function.module == module; });
    return success;
}

CUresult emulated_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.modules.has(module)) return invalid_handle;
    const Kernel *kernel = kernel_named(name);
    if (kernel == nullptr) return refuse(not_found, "cuModuleGetFunction: no kernel %s", name);
    *function = driver.functions.add({kernel, module, default_shared_bytes});
    return success;
}

CUresult emulated_cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.functions.has(function)) return invalid_handle;
    const int architecture = driver.options.capability_major * 10 + driver.options.capability_minor;
    switch (attribute) {
        case 0: *value = int(function->kernel->most_threads); return success;
        case 1: case 2: case 3: *value = 0; return success;  // static shared, constant and local memory
        case 4: *value = estimated_registers; return success;
        case 5: case 6: *value = architecture; return success;
        case 8: *value = function->most_shared_bytes; return success;
        default: return refuse(invalid_value, "cuFuncGetAttribute: attribute %d is not emulated", attribute);
    }
}

CUresult emulated_cuFuncGetParamInfo(CUfunction function, size_t index, size_t *offset, size_t *bytes) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.functions.has(function)) return invalid_handle;
    if (index != 0) return refuse(invalid_value, "cuFuncGetParamInfo: a kernel has one parameter, no %zu", index);
    *offset = 0;
    *bytes = function->kernel->parameter_bytes;
    return success;
}

CUresult emulated_cuFuncSetAttribute(CUfunction function, int attribute, int value) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.functions.has(function)) return invalid_handle;
    // 9, what part of the first-level cache shared memory takes, is a hint.
    if (attribute == 9 && value >= -1 && value <= 100) return success;
    if (attribute != 8 || value < 0 || value > limits().shared_bytes_of_block) {
        return refuse(invalid_value, "cuFuncSetAttribute: attribute %d, value %d", attribute, value);
    }
    function->most_shared_bytes = value;
    return success;
}

CUresult emulated_cuOccupancyMaxActiveBlocksPerMultiprocessor(
    int *blocks, CUfunction function, int block_threads, size_t shared_bytes) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.functions.has(function)) return invalid_handle;
    if (block_threads < 1 || u32(block_threads) > function->kernel->most_threads) return invalid_value;
    const Limits most = limits();
    const int threads = (block_threads + 31) / 32 * 32;
    const bool fits = shared_bytes <= size_t(function->most_shared_bytes);
    // Every block takes 1024 bytes of shared memory for the system.
    const int by_memory = fits ? most.shared_bytes_of_multiprocessor / (int(shared_bytes) + 1024) : 0;
    const int by_registers = 65536 / (estimated_registers * threads);
    *blocks = std::min({
        most.blocks_of_multiprocessor, most.threads_of_multiprocessor / threads, by_memory, std::max(by_registers, 1)});
    return success;
}

CUresult emulated_cuLaunchKernel(
    CUfunction function, unsigned int grid_x, unsigned int grid_y, unsigned int grid_z, unsigned int block_x,
    unsigned int block_y, unsigned int block_z, unsigned int shared_bytes, CUstream stream, void **parameters,
    void **extra) {
    Call call(Call::context);
    if (call.error != success) return call.error;
    if (!driver.functions.has(function)) return refuse(invalid_handle, "cuLaunchKernel: unknown function");
    if (parameters == nullptr || extra != nullptr) return refuse(invalid_value, "cuLaunchKernel: no parameters");
    const u32 grid[] = {grid_x, grid_y, grid_z}, block[] = {block_x, block_y, block_z};
    const CUresult error = check_launch(*function, grid, block, shared_bytes);
    if (error != success) return error;
    Work work{.kind = Work::kernel};
    work.launch = {function->kernel, nullptr, {grid_x, grid_y, grid_z}, block_x, shared_bytes};
    const u8 *bytes = static_cast<const u8 *>(parameters[0]);
    work.parameters.assign(bytes, bytes + function->kernel->parameter_bytes);
    return submit(call, stream, std::move(work));
}

// Kernels run one after the other, so what may begin early begins in its turn.
CUresult emulated_cuLaunchKernelEx(
    const flash_cuda_launch *launch, CUfunction function, void **parameters, void **extra) {
    for (u32 index = 0; index < launch->attribute_count; index++) {
        const flash_cuda_launch_attribute &attribute = launch->attributes[index];
        if (attribute.id != FLASH_CUDA_LAUNCH_PROGRAMMATIC_SERIALIZATION || attribute.value[0] > 1) {
            return refuse(invalid_value, "cuLaunchKernelEx: attribute %u, value %u", attribute.id, attribute.value[0]);
        }
    }
    return emulated_cuLaunchKernel(
        function, launch->grid_x, launch->grid_y, launch->grid_z, launch->block_x, launch->block_y, launch->block_z,
        launch->shared_bytes, launch->stream, parameters, extra);
}
