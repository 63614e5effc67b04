// The state behind the driver's functions.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "include/CUDAEmulator.h"
#include "device/machine.h"

// The driver's functions, spread over the files of this folder.
#define FLASH_EMULATED_FUNCTION(name, arguments) CUresult emulated_##name arguments;
FLASH_CUDA_DRIVER_FUNCTIONS(FLASH_EMULATED_FUNCTION)
FLASH_NVRTC_FUNCTIONS(FLASH_EMULATED_FUNCTION)
FLASH_EMULATED_FUNCTION(cuFuncGetParamInfo, (CUfunction function, size_t index, size_t *offset, size_t *bytes))
FLASH_EMULATED_FUNCTION(
    cuLaunchKernelEx, (const flash_cuda_launch *launch, CUfunction function, void **parameters, void **extra))
#undef FLASH_EMULATED_FUNCTION
const char *emulated_nvrtcGetErrorString(nvrtcResult result);

namespace emulator {

enum Error : int {
    success = 0,
    invalid_value = 1,
    out_of_memory = 2,
    not_initialized = 3,
    no_device = 100,
    invalid_device = 101,
    invalid_image = 200,
    invalid_context = 201,
    no_binary_for_device = 209,
    invalid_handle = 400,
    not_found = 500,
    out_of_resources = 701,
    capture_unsupported = 900,
    capture_invalidated = 901,
    capture_unmatched = 903,
};

// What a stream does, now or when a graph is launched.
struct Work {
    enum Kind { to_device, to_host, on_device, fill, kernel } kind;
    CUdeviceptr to = 0, from = 0;
    void *host_to = nullptr;
    const void *host_from = nullptr;
    size_t bytes = 0;
    // Of `fill`: what is repeated, of 1 or 4 bytes.
    u32 pattern = 0, pattern_bytes = 1;
    Launch launch = {};
    std::vector<u8> parameters = {};
};

struct Capture {
    std::vector<Work> works;
    bool is_valid = true;
};

}  // namespace emulator

struct flash_cuda_context {
    int device, users;
    // The error that every call returns from now on.
    CUresult error;
};
struct flash_cuda_module {};
struct flash_cuda_function {
    const emulator::Kernel *kernel;
    CUmodule module;
    int most_shared_bytes;
};
struct flash_cuda_stream {
    std::shared_ptr<emulator::Capture> capture;
    bool is_origin;
};
struct flash_cuda_event {
    bool is_timed, is_recorded;
    double milliseconds;
    std::shared_ptr<emulator::Capture> capture;
};
struct flash_cuda_graph {
    std::vector<emulator::Work> works;
};
struct flash_cuda_graph_exec {
    std::vector<emulator::Work> works;
};

namespace emulator {

// Handles given out and not yet taken back: others are invalid.
template <typename T>
class Handles {
  public:
    T *add(T value) {
        auto owned = std::make_unique<T>(std::move(value));
        T *handle = owned.get();
        live.emplace(handle, std::move(owned));
        return handle;
    }
    bool has(T *handle) const { return live.count(handle) > 0; }
    bool remove(T *handle) { return live.erase(handle) > 0; }
    template <typename Predicate>
    void remove_where(Predicate predicate) {
        std::erase_if(live, [&](const auto &entry) { return predicate(*entry.first); });
    }
    template <typename Body>
    void for_each(Body body) {
        for (auto &entry : live) body(*entry.first);
    }
    void clear() { live.clear(); }

  private:
    std::unordered_map<T *, std::unique_ptr<T>> live;
};

struct Driver {
    std::mutex mutex;
    flash_emulator_options options = flash_emulator_default_options();
    bool is_initialized = false;
    std::vector<std::unique_ptr<flash_cuda_context>> contexts;  // by device
    Handles<flash_cuda_module> modules;
    Handles<flash_cuda_function> functions;
    Handles<flash_cuda_stream> streams;
    Handles<flash_cuda_event> events;
    Handles<flash_cuda_graph> graphs;
    Handles<flash_cuda_graph_exec> executables;
    std::unordered_map<void *, size_t> host_memory;
    std::vector<size_t> used_bytes;  // by device
    u64 launches = 0, blocks = 0;
};
extern Driver driver;

// What a function of the driver begins with: it holds the driver, and has what it needs or knows why not.
class Call {
  public:
    enum Need { nothing, initialization, context };
    explicit Call(Need need);
    CUresult error;
    flash_cuda_context *current = nullptr;

  private:
    std::lock_guard<std::mutex> lock;
};

void set_current_context(flash_cuda_context *context);
// Frees a device's memory.
void release_memory_of(int device);

// Does the work, or records it while the stream is captured.
CUresult submit(Call &call, CUstream stream, Work work);
CUresult run(flash_cuda_context &context, Work &work);
CUresult run_memory_work(const Work &work);
CUresult run_kernel(int device, const Launch &launch);
// Null for the default stream.
CUresult find_stream(CUstream handle, flash_cuda_stream *&stream);

// Says what was wrong with a call, for flash_emulator_report, and returns the error.
CUresult refuse(CUresult error, const char *format, ...) __attribute__((format(printf, 2, 3)));

// Limits that depend on the compute capability.
struct Limits {
    int shared_bytes_of_block, shared_bytes_of_multiprocessor;
    int threads_of_multiprocessor, blocks_of_multiprocessor;
};
Limits limits();
constexpr int default_shared_bytes = 48 << 10;

const Kernel *kernel_named(const char *name);

}  // namespace emulator
