// Memory of devices and of the host.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "device/global_memory.h"
#include "driver.h"

using namespace emulator;

namespace emulator {

// What an allocation takes of the limit.
static size_t taken(size_t bytes) { return (bytes + 511) / 512 * 512; }

static u64 offset_in(const Allocation &allocation, CUdeviceptr pointer) {
    return pointer - reinterpret_cast<u64>(allocation.bytes);
}

void release_memory_of(int device) {
    for_each_allocation([&](Allocation &allocation) {
        if (allocation.is_live && allocation.device == device) release(allocation);
    });
    driver.used_bytes[size_t(device)] = 0;
}

// A range of a device that the driver itself reads or writes.
static CUresult check_range(const char *what, CUdeviceptr pointer, size_t bytes, Allocation *&allocation) {
    allocation = allocation_at(pointer);
    if (allocation == nullptr || !allocation->is_live) {
        return refuse(invalid_value, "%s: %#llx is not device memory", what, pointer);
    }
    if (bytes > allocation->size || offset_in(*allocation, pointer) > allocation->size - bytes) {
        return refuse(
            invalid_value, "%s: %zu bytes at byte %llu of an allocation of %zu bytes", what, bytes,
            offset_in(*allocation, pointer), allocation->size);
    }
    return success;
}

static CUresult copy_to_device(const Work &work) {
    Allocation *to;
    const CUresult error = check_range("copy to the device", work.to, work.bytes, to);
    if (error != success) return error;
    std::memcpy(reinterpret_cast<void *>(work.to), work.host_from, work.bytes);
    set_written(*to, offset_in(*to, work.to), work.bytes);
    return success;
}

static CUresult copy_to_host(const Work &work) {
    Allocation *from;
    const CUresult error = check_range("copy to the host", work.from, work.bytes, from);
    if (error != success) return error;
    std::memcpy(work.host_to, reinterpret_cast<const void *>(work.from), work.bytes);
    return success;
}

static CUresult copy_on_device(const Work &work) {
    Allocation *to, *from;
    CUresult error = check_range("copy on the device, to", work.to, work.bytes, to);
    if (error != success) return error;
    error = check_range("copy on the device, from", work.from, work.bytes, from);
    if (error != success) return error;
    std::memmove(reinterpret_cast<void *>(work.to), reinterpret_cast<const void *>(work.from), work.bytes);
    copy_written(*to, offset_in(*to, work.to), *from, offset_in(*from, work.from), work.bytes);
    return success;
}

static CUresult fill(const Work &work) {
    Allocation *to;
    const CUresult error = check_range("fill", work.to, work.bytes, to);
    if (error != success) return error;
    if (work.to % work.pattern_bytes != 0) return refuse(invalid_value, "fill: %#llx is misaligned", work.to);
    u8 *bytes = reinterpret_cast<u8 *>(work.to);
    for (size_t i = 0; i < work.bytes; i++) bytes[i] = u8(work.pattern >> 8 * (i % work.pattern_bytes));
    set_written(*to, offset_in(*to, work.to), work.bytes);
    return success;
}

CUresult run_memory_work(const Work &work) {
    if (work.bytes == 0) return success;
    switch (work.kind) {
        case Work::to_device: return copy_to_device(work);
        case Work::to_host: return copy_to_host(work);
        case Work::on_device: return copy_on_device(work);
        default: return fill(work);
    }
}

}  // namespace emulator

CUresult emulated_cuMemGetInfo_v2(size_t *free_bytes, size_t *total_bytes) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    *total_bytes = driver.options.memory_bytes;
    *free_bytes = *total_bytes - std::min(*total_bytes, driver.used_bytes[size_t(call.current->device)]);
    return success;
}

CUresult emulated_cuMemAlloc_v2(CUdeviceptr *pointer, size_t bytes) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (bytes == 0) return refuse(invalid_value, "cuMemAlloc: no bytes");
    size_t &used = driver.used_bytes[size_t(call.current->device)];
    if (bytes > driver.options.memory_bytes || used + taken(bytes) > driver.options.memory_bytes) {
        return refuse(out_of_memory, "cuMemAlloc: %zu bytes, and %zu of %zu are used", bytes, used,
                      driver.options.memory_bytes);
    }
    const Allocation *allocation = allocate(bytes, call.current->device);
    if (allocation == nullptr) return refuse(out_of_memory, "cuMemAlloc: the host has no %zu bytes", bytes);
    used += taken(bytes);
    *pointer = reinterpret_cast<CUdeviceptr>(allocation->bytes);
    return success;
}

CUresult emulated_cuMemFree_v2(CUdeviceptr pointer) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (pointer == 0) return success;
    Allocation *allocation = allocation_at(pointer);
    if (allocation == nullptr || !allocation->is_live || offset_in(*allocation, pointer) != 0) {
        return refuse(invalid_value, "cuMemFree: %#llx is not the begin of an allocation", pointer);
    }
    driver.used_bytes[size_t(allocation->device)] -= taken(allocation->size);
    release(*allocation);
    return success;
}

CUresult emulated_cuMemHostAlloc(void **pointer, size_t bytes, unsigned int flags) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (bytes == 0 || flags > 7) return invalid_value;
    *pointer = std::aligned_alloc(4096, (bytes + 4095) / 4096 * 4096);
    if (*pointer == nullptr) return out_of_memory;
    driver.host_memory[*pointer] = bytes;
    return success;
}

CUresult emulated_cuMemFreeHost(void *pointer) {
    const Call call(Call::context);
    if (call.error != success) return call.error;
    if (driver.host_memory.erase(pointer) == 0) return invalid_value;
    std::free(pointer);
    return success;
}

CUresult emulated_cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes, CUstream stream) {
    Call call(Call::context);
    return submit(call, stream, {.kind = Work::to_device, .to = to, .host_from = from, .bytes = bytes});
}

CUresult emulated_cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes, CUstream stream) {
    Call call(Call::context);
    return submit(call, stream, {.kind = Work::to_host, .from = from, .host_to = to, .bytes = bytes});
}

CUresult emulated_cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes, CUstream stream) {
    Call call(Call::context);
    return submit(call, stream, {.kind = Work::on_device, .to = to, .from = from, .bytes = bytes});
}

CUresult emulated_cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count, CUstream stream) {
    Call call(Call::context);
    return submit(call, stream, {.kind = Work::fill, .to = to, .bytes = count, .pattern = value, .pattern_bytes = 1});
}

CUresult emulated_cuMemsetD32Async(CUdeviceptr to, unsigned int value, size_t count, CUstream stream) {
    Call call(Call::context);
    return submit(
        call, stream, {.kind = Work::fill, .to = to, .bytes = count * 4, .pattern = value, .pattern_bytes = 4});
}
