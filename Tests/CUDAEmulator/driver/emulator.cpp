// The emulator's own functions, for tests.
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstring>

#include "device/bank_conflicts.h"
#include "device/global_memory.h"
#include "device/report.h"
#include "kernels/kernels.h"
#include "driver.h"

using namespace emulator;

namespace emulator {

Driver driver;

static const Kernel *first_kernel;

Kernel::Kernel(
    const char *name, const char *file, u32 most_threads, u32 parameter_bytes, void (*run)(const void *))
    : name(name), file(file), most_threads(most_threads), parameter_bytes(parameter_bytes), run(run),
      next(first_kernel) {
    first_kernel = this;
}

const Kernel *kernel_named(const char *name) {
    for (const Kernel *kernel = first_kernel; kernel != nullptr; kernel = kernel->next) {
        if (std::strcmp(kernel->name, name) == 0) return kernel;
    }
    return nullptr;
}

static std::mutex holder_mutex;
static std::condition_variable holder_left;
static bool is_held;

static size_t copy_text(const std::string &source, char *text, size_t capacity) {
    if (capacity > 0) {
        const size_t length = std::min(source.size(), capacity - 1);
        std::memcpy(text, source.data(), length);
        text[length] = 0;
    }
    return source.size();
}

}  // namespace emulator

void flash_emulator_acquire(void) {
    std::unique_lock lock(holder_mutex);
    holder_left.wait(lock, [] { return !is_held; });
    is_held = true;
}

void flash_emulator_release(void) {
    const std::lock_guard lock(holder_mutex);
    is_held = false;
    holder_left.notify_one();
}

void flash_emulator_tables(flash_cuda_driver *table, flash_nvrtc *nvrtc) {
    // Named here, the kernels' files belong to every program that has the emulator.
    keep_kernels();
#define FLASH_FILL(name, arguments) table->name = emulated_##name;
    FLASH_CUDA_DRIVER_FUNCTIONS(FLASH_FILL)
#undef FLASH_FILL
    table->cuFuncGetParamInfo = emulated_cuFuncGetParamInfo;
    table->cuLaunchKernelEx = emulated_cuLaunchKernelEx;
#define FLASH_FILL(name, arguments) nvrtc->name = emulated_##name;
    FLASH_NVRTC_FUNCTIONS(FLASH_FILL)
#undef FLASH_FILL
    nvrtc->nvrtcGetErrorString = emulated_nvrtcGetErrorString;
}

flash_emulator_options flash_emulator_default_options(void) {
    return {
        .seed = 0, .timing = FLASH_EMULATOR_LAZY, .devices = 1, .capability_major = 9, .capability_minor = 0,
        .multiprocessors = 4, .memory_bytes = size_t(1) << 30};
}

void flash_emulator_configure(const flash_emulator_options *options) {
    const std::lock_guard lock(driver.mutex);
    driver.options = *options;
}

void flash_emulator_reset(void) {
    const std::lock_guard lock(driver.mutex);
    forget_allocations();
    driver.is_initialized = false;
    driver.contexts.clear();
    driver.modules.clear();
    driver.functions.clear();
    driver.streams.clear();
    driver.events.clear();
    driver.graphs.clear();
    driver.executables.clear();
    for (const auto &[pointer, bytes] : driver.host_memory) std::free(pointer);
    driver.host_memory.clear();
    driver.used_bytes.clear();
    driver.launches = driver.blocks = 0;
    std::fill_n(counts, CATEGORIES, 0);
    bytes_loaded = bytes_stored = bytes_copied_asynchronously = 0;
    clear_conflicts();
    clear_report();
}

size_t flash_emulator_report(char *text, size_t capacity) {
    const std::lock_guard lock(driver.mutex);
    return copy_text(report(), text, capacity);
}

size_t flash_emulator_conflicts(char *text, size_t capacity) {
    const std::lock_guard lock(driver.mutex);
    std::vector<Conflicts> rows = conflicts();
    std::erase_if(rows, [](const Conflicts &row) { return row.extra_wavefronts == 0; });
    std::sort(rows.begin(), rows.end(), [](const Conflicts &a, const Conflicts &b) {
        return a.extra_wavefronts > b.extra_wavefronts;
    });
    std::string lines;
    for (const Conflicts &row : rows) {
        const char *path = row.site.file_name(), *slash = std::strrchr(path, '/');
        char line[300];
        std::snprintf(
            line, sizeof line, "%s:%u: %llu extra wavefronts in %llu instructions\n", slash ? slash + 1 : path,
            unsigned(row.site.line()), row.extra_wavefronts, row.instructions);
        lines += line;
    }
    return copy_text(lines, text, capacity);
}

void flash_emulator_read_statistics(struct flash_emulator_statistics *statistics) {
    const std::lock_guard lock(driver.mutex);
    *statistics = {
        .launches = driver.launches, .blocks = driver.blocks,
        .shared_loads = counts[SHARED_LOADS], .shared_stores = counts[SHARED_STORES],
        .extra_wavefronts = extra_wavefronts(),
        .global_loads = counts[GLOBAL_LOADS], .global_stores = counts[GLOBAL_STORES], .atomics = counts[ATOMICS],
        .asynchronous_copies = counts[ASYNCHRONOUS_COPIES],
        .bytes_loaded = bytes_loaded, .bytes_stored = bytes_stored,
        .bytes_copied_asynchronously = bytes_copied_asynchronously,
        .barriers = counts[BARRIERS], .shuffles = counts[SHUFFLES],
        .matrix_loads = counts[MATRIX_LOADS], .matrix_products = counts[MATRIX_PRODUCTS],
        .bit_operations = counts[BIT_OPERATIONS], .conversions = counts[CONVERSIONS],
        .float_functions = counts[FLOAT_FUNCTIONS],
    };
}
