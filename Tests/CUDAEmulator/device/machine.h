// The state of the machine: one launch at a time, of it one block, of it one running thread.
#pragma once

#include <bit>
#include <vector>

#include "interface.h"

namespace emulator {

constexpr u32 lanes_of_warp = 32, most_threads = 1024, most_warps = most_threads / lanes_of_warp;

enum class Timing : u8 { lazy, eager, random };

struct Copy {
    u32 to;
    const void *from;  // null: zeros
    u32 group;
    bool has_landed;
    Site site;
};

// One shared access of a lane since its warp last met; `bytes` of 0 ends nothing and means nothing.
struct Access {
    const void *instruction;
    u32 address;
    u8 bytes;
    bool is_store;
};

enum class State : u8 { ready, at_collective, at_barrier, ended };

struct Warp;

// One thread of the block: a fiber.
struct Lane {
    void *stack;
    Warp *warp;
    u32 thread;
    State state;
    Operation operation;
    Site site;

    // The segment (shared_memory.h) that its accesses belong to, while these three stay the same.
    u32 segment;
    u32 segment_warp_epoch;
    Site segment_site;

    const void *looked_at;

    // Copies under way, oldest first; `group` is the number of the group that is open.
    std::vector<Copy> copies;
    u32 group;

    std::vector<Access> accesses;
};

struct Warp {
    u32 index;
    // One bit per lane.
    u32 present, ready, arrived, at_barrier, ended;
    Operation operation;
    Site site;
    void *arguments[lanes_of_warp];
    // Rises with every `warp_barrier`.
    u32 epoch;
    // Segments of all lanes together, of this epoch: several that read, all that took part in a matrix load.
    u32 readers_segment, readers_epoch;
    u32 collective_segment, collective_epoch;
    Site collective_site;
};

struct Launch {
    const Kernel *kernel;
    const void *parameters;
    u32 grid[3];
    u32 block_threads;
    u32 shared_bytes;
};

struct Machine {
    // What the schedule is drawn from; 0 runs threads in order.
    u64 seed;
    Timing timing;
    u64 random_state;

    Launch launch;
    Lane *lanes;  // [most_threads]
    Warp warps[most_warps];
    u32 warp_count;
    u32 warps_ready;  // one bit per warp
    Lane *current;
    void *main_stack;
    u32 live_threads, threads_at_barrier;
    // Since a thread last ended, passed a barrier or a collective: looks at memory, and looks at what the thread has
    // looked at just before.
    u64 looks, repeated_looks;
    // The driver's error code; set once the launch has failed.
    int error;
};
extern Machine machine;

// Something has happened that a waiting loop may have waited for.
inline void begin_waiting_anew() { machine.looks = machine.repeated_looks = 0; }

// Runs all blocks of a launch; the driver's error code, and the report says more.
int run_launch(const Launch &launch);

u64 random_bits();

// Block.cpp: gives up the processor until another thread makes this one ready again.
void wait_for_others(State state);
void make_ready(Warp &warp, u32 lanes);

// What the last lane to arrive does for its warp.
void perform(Warp &warp);
const char *name_of(Operation operation);

// Counts the conflicts of the accesses that a warp's lanes have made since they last met.
void settle_accesses(Warp &warp);

// Ends the launch with a report of the running thread: what it did, where. Codes are those of the driver.
[[noreturn]] void fail(int code, Site site, const char *format, ...) __attribute__((format(printf, 3, 4)));

constexpr int illegal_address = 700, misaligned_address = 716, launch_failed = 719;

}  // namespace emulator
