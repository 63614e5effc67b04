// What the functions of emulated_gpu.h call: the seam between a kernel's source and the machine that runs it.
#pragma once

#include <source_location>

namespace emulator {

using u8 = unsigned char;
using u16 = unsigned short;
using u32 = unsigned int;
using u64 = unsigned long long;

// Where in a kernel's source an instruction stands: its file, line and column. Two lanes execute the same instruction
// if their sites are the same object.
using Site = std::source_location;

// Where the running thread is; `thread` changes with every switch of fibers.
struct Place {
    u32 thread, block_threads;
    u32 block[3], grid[3];
};
extern Place place;

// Executed calls of one thread each, by what they are.
enum Category {
    SHARED_LOADS,
    SHARED_STORES,
    GLOBAL_LOADS,
    GLOBAL_STORES,
    ATOMICS,
    ASYNCHRONOUS_COPIES,
    BARRIERS,
    SHUFFLES,
    MATRIX_LOADS,
    MATRIX_PRODUCTS,
    BIT_OPERATIONS,
    CONVERSIONS,
    FLOAT_FUNCTIONS,
    CATEGORIES
};
extern u64 counts[CATEGORIES];
inline void count(Category category) { counts[category]++; }

// What all 32 lanes of a warp do together.
enum class Operation : u8 {
    warp_barrier,
    warp,
    shuffle,
    shuffle_xor,
    shuffle_up,
    ballot,
    multiply_f16,
    multiply_bf16,
    load_matrices_4,
    load_matrices_2,
    load_matrices_transposed_4,
};

// The arguments that a lane leaves for the lane that arrives last, and what it gets back.
struct Exchange {
    u32 value, operand, result;
};
struct Product {
    float *sums;     // [4]
    const u32 *a;    // [4]
    u32 b[2];
};
struct MatrixLoad {
    u32 *words;  // [4] or [2]
    u32 row;
};

void collective(Operation operation, void *arguments, Site site);
void block_barrier(Site site);

// Checks an access and returns where the bytes are in the host's memory, or ends the launch.
void *shared_load(u32 address, u32 bytes, Site site);
void shared_store(u32 address, const void *value, u32 bytes, Site site);
const void *global_load(const void *pointer, u32 bytes, Site site);
void *global_store(void *pointer, u32 bytes, Site site);

// Before what other threads may have changed is looked at: lets them run, so that a loop that waits for them ends.
void yield(const void *pointer, Site site);

void copy_async(u32 to, const void *from, bool is_valid, Site site);
void copy_async_commit();
void copy_async_wait(u32 pending, Site site);

// Kernels make themselves known before `main` begins.
struct Kernel {
    const char *name, *file;
    u32 most_threads;
    u32 parameter_bytes;
    void (*run)(const void *parameters);
    const Kernel *next;

    Kernel(const char *name, const char *file, u32 most_threads, u32 parameter_bytes, void (*run)(const void *));
};

constexpr u32 first_shared_address = 0x400;

}  // namespace emulator
