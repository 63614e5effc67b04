#ifndef FLASH_LLM_CUDA_EMULATOR_H
#define FLASH_LLM_CUDA_EMULATOR_H

// A GPU for tests, on the processor: it fills the tables of the CUDA driver and of NVRTC, and runs the kernels of
// Sources/CCUDA/kernels, compiled for the host, with every access checked. Its state is the process's: whoever launches
// or configures holds it (flash_emulator_acquire), so that tests which run at the same time do not disturb each other.

#include "CCUDA.h"
#include "test_kernels.h"
#include "test_sources.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

// When the bytes of an asynchronous copy arrive: as late as its wait allows, at once, or either, as the seed decides.
// Reading them before the wait is an error at any time.
enum flash_emulator_timing { FLASH_EMULATOR_LAZY, FLASH_EMULATOR_EAGER, FLASH_EMULATOR_RANDOM };

struct flash_emulator_options {
    uint64_t seed;  // of the schedule; 0: threads and blocks in order
    enum flash_emulator_timing timing;
    int devices;
    int capability_major, capability_minor;
    int multiprocessors;
    size_t memory_bytes;  // of each device
};

// What kernels have done since the last reset. Instructions count once for every thread.
struct flash_emulator_statistics {
    uint64_t launches, blocks;
    uint64_t shared_loads, shared_stores;
    // Turns of the shared memory's banks beyond those that 128 bytes at a time take.
    uint64_t extra_wavefronts;
    uint64_t global_loads, global_stores, atomics, asynchronous_copies;
    uint64_t bytes_loaded, bytes_stored, bytes_copied_asynchronously;
    uint64_t barriers, shuffles, matrix_loads, matrix_products;
    uint64_t bit_operations, conversions, float_functions;
};

// Waits until nobody else holds the emulator. Any thread may release it.
void flash_emulator_acquire(void);
void flash_emulator_release(void);

// Every function of both tables.
void flash_emulator_tables(struct flash_cuda_driver *driver, struct flash_nvrtc *nvrtc);

// Seed 0, lazy copies, one device of capability 9.0 with 4 multiprocessors and 1 GB.
struct flash_emulator_options flash_emulator_default_options(void);
void flash_emulator_configure(const struct flash_emulator_options *options);

// As at the start, except for the options: contexts, memory, handles, errors, the report and the statistics are gone.
void flash_emulator_reset(void);

// Copies what went wrong last into `text`, cut to `capacity` with its final zero; empty if nothing did. Returns the
// whole length.
size_t flash_emulator_report(char *text, size_t capacity);
// The same for the instructions that met conflicts of banks: a line each, the worst first.
size_t flash_emulator_conflicts(char *text, size_t capacity);
void flash_emulator_read_statistics(struct flash_emulator_statistics *statistics);

#ifdef __cplusplus
}
#endif

#endif
