// Runs the threads of a block as fibers: each until it must wait for others.
#include <algorithm>
#include <cstring>

#include "fibers.h"
#include "global_memory.h"
#include "machine.h"
#include "report.h"
#include "shared_memory.h"

namespace emulator {

Machine machine;
Place place;
u64 counts[CATEGORIES];

// Threads that look so often at memory, or at the same place, while nothing happens wait for what never comes. A sum of
// what other blocks left looks at many places, once each.
constexpr u64 most_looks = 100'000'000, most_repeated_looks = 1'000'000;

// SplitMix64 (Steele, Lea, Flood, doi:10.1145/2714064.2660195).
u64 random_bits() {
    u64 z = machine.random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

// The first set bit from `start` on, beginning again at 0 behind the last one.
static u32 next_bit(u32 bits, u32 start) {
    const u32 later = bits & ~0u << start;
    return u32(std::countr_zero(later != 0 ? later : bits));
}

// In order, a thread goes on until it must wait, then the next lane of its warp: a warp's stacks stay in the cache.
// With a seed, any thread; three times of four of the same warp, for the same reason.
static Lane *next_lane() {
    if (machine.warps_ready == 0) return nullptr;
    u32 warp = machine.current->warp->index, lane = (machine.current->thread + 1) % lanes_of_warp;
    if (machine.seed != 0) {
        const u64 random = random_bits();
        lane = random & 31;
        if ((random & 0x60) == 0) warp = random >> 7 & 31;
    }
    warp = next_bit(machine.warps_ready, warp);
    lane = next_bit(machine.warps[warp].ready, lane);
    return &machine.lanes[warp * lanes_of_warp + lane];
}

static void switch_to(Lane *lane) {
    Lane *from = machine.current;
    if (lane == from) return;
    machine.current = lane;
    place.thread = lane->thread;
    flash_emulator_switch(&from->stack, lane->stack);
}

void make_ready(Warp &warp, u32 lanes) {
    warp.ready |= lanes;
    if (warp.ready != 0) machine.warps_ready |= 1u << warp.index;
    for (u32 left = lanes; left != 0; left &= left - 1) {
        machine.lanes[warp.index * lanes_of_warp + u32(std::countr_zero(left))].state = State::ready;
    }
}

static void set_waiting(Lane *lane, State state) {
    lane->state = state;
    Warp &warp = *lane->warp;
    warp.ready &= ~(1u << lane->thread % lanes_of_warp);
    if (warp.ready == 0) machine.warps_ready &= ~(1u << warp.index);
}

// Who waits where, in runs of threads that do the same.
static void add_waiting_threads() {
    const u32 threads = machine.launch.block_threads;
    for (u32 first = 0; first < threads;) {
        const Lane &lane = machine.lanes[first];
        u32 last = first;
        const auto is_same = [&](const Lane &other) {
            return other.state == lane.state && (lane.state == State::ended || other.site.line() == lane.site.line());
        };
        while (last + 1 < threads && is_same(machine.lanes[last + 1])) last++;
        add_to_report("\n  threads %u...%u ", first, last);
        if (lane.state == State::ended) {
            add_to_report("have ended");
        } else {
            const char *what = lane.state == State::at_barrier ? "block_barrier" : name_of(lane.operation);
            add_to_report("wait at %s, line %u", what, unsigned(lane.site.line()));
        }
        first = last + 1;
    }
}

[[noreturn]] static void fail_in_deadlock(Site site) {
    write_report(
        "%s, block (%u, %u, %u): deadlock: no thread can go on", machine.launch.kernel->name, place.block[0],
        place.block[1], place.block[2]);
    (void)site;
    add_waiting_threads();
    machine.error = launch_failed;
    void *abandoned;
    flash_emulator_switch(&abandoned, machine.main_stack);
    __builtin_unreachable();
}

void wait_for_others(State state) {
    Lane *lane = machine.current;
    set_waiting(lane, state);
    Lane *next = next_lane();
    if (next == nullptr) fail_in_deadlock(lane->site);
    switch_to(next);
}

void yield(const void *pointer, Site site) {
    Lane &lane = *machine.current;
    machine.looks++;
    if (pointer == lane.looked_at) machine.repeated_looks++;
    lane.looked_at = pointer;
    if (machine.looks > most_looks || machine.repeated_looks > most_repeated_looks) {
        fail(launch_failed, site, "waits in a loop for what no other thread of its block does; blocks run one by one");
    }
    switch_to(next_lane());
}

// All live threads have arrived: what was done before is ordered before what comes.
static void pass_barrier() {
    begin_barrier_epoch();
    machine.threads_at_barrier = 0;
    begin_waiting_anew();
    for (u32 i = 0; i < machine.warp_count; i++) {
        Warp &warp = machine.warps[i];
        const u32 lanes = warp.at_barrier;
        warp.at_barrier = 0;
        make_ready(warp, lanes);
    }
}

// The fast half of a warp must not wait for its statistics, so they are settled when all of it has come.
static void settle_if_complete(Warp &warp) {
    if ((warp.at_barrier | warp.ended) == warp.present) settle_accesses(warp);
}

void block_barrier(Site site) {
    count(BARRIERS);
    Lane *lane = machine.current;
    lane->site = site;
    for (u32 i = 0; machine.threads_at_barrier > 0 && i < machine.warp_count; i++) {
        const u32 waiting = machine.warps[i].at_barrier;
        if (waiting == 0) continue;
        const Lane &other = machine.lanes[i * lanes_of_warp + u32(std::countr_zero(waiting))];
        if (other.site.line() != site.line() || other.site.column() != site.column()) {
            fail(
                launch_failed, site, "divergent barrier: thread %u waits at the block_barrier of line %u", other.thread,
                unsigned(other.site.line()));
        }
        break;
    }
    lane->warp->at_barrier |= 1u << lane->thread % lanes_of_warp;
    settle_if_complete(*lane->warp);
    if (++machine.threads_at_barrier == machine.live_threads) {
        lane->warp->at_barrier &= ~(1u << lane->thread % lanes_of_warp);
        pass_barrier();
    } else {
        wait_for_others(State::at_barrier);
    }
}

[[noreturn]] static void end_thread() {
    Lane *lane = machine.current;
    Warp &warp = *lane->warp;
    if (warp.arrived != 0) {
        const Lane &other = machine.lanes[warp.index * lanes_of_warp + u32(std::countr_zero(warp.arrived))];
        fail(
            launch_failed, other.site, "ends while thread %u waits for its whole warp at %s", other.thread,
            name_of(warp.operation));
    }
    warp.ended |= 1u << lane->thread % lanes_of_warp;
    settle_if_complete(warp);
    machine.live_threads--;
    begin_waiting_anew();
    set_waiting(lane, State::ended);
    if (machine.live_threads > 0 && machine.threads_at_barrier == machine.live_threads) pass_barrier();
    if (machine.live_threads == 0) {
        flash_emulator_switch(&lane->stack, machine.main_stack);
    } else {
        Lane *next = next_lane();
        if (next == nullptr) fail_in_deadlock(lane->site);
        switch_to(next);
    }
    __builtin_unreachable();
}

static void run_thread() {
    machine.launch.kernel->run(machine.launch.parameters);
    end_thread();
}

static void prepare_block() {
    const u32 threads = machine.launch.block_threads;
    machine.warp_count = (threads + lanes_of_warp - 1) / lanes_of_warp;
    machine.warps_ready = 0;
    machine.live_threads = threads;
    machine.threads_at_barrier = 0;
    begin_waiting_anew();
    for (u32 i = 0; i < machine.warp_count; i++) {
        const u32 lanes = std::min(lanes_of_warp, threads - i * lanes_of_warp);
        const u32 present = lanes == 32 ? ~0u : (1u << lanes) - 1;
        machine.warps[i] = Warp{};
        machine.warps[i].index = i;
        machine.warps[i].present = present;
    }
    for (u32 i = 0; i < threads; i++) {
        Lane &lane = machine.lanes[i];
        lane.stack = prepare_stack(stack_top(i), run_thread);
        lane.warp = &machine.warps[i / lanes_of_warp];
        lane.thread = i;
        lane.site = Site();
        lane.looked_at = nullptr;
        lane.segment = 0;
        lane.copies.clear();
        lane.group = 0;
        lane.accesses.clear();
    }
    for (u32 i = 0; i < machine.warp_count; i++) make_ready(machine.warps[i], machine.warps[i].present);
    begin_block_in_shared_memory(machine.launch.shared_bytes);
}

static void run_block(u64 index) {
    const u32 *grid = machine.launch.grid;
    place.block[0] = u32(index % grid[0]);
    place.block[1] = u32(index / grid[0] % grid[1]);
    place.block[2] = u32(index / grid[0] / grid[1]);
    prepare_block();
    // Any order of blocks is right, and so is any first thread.
    machine.current = &machine.lanes[machine.seed == 0 ? 0 : random_bits() % machine.launch.block_threads];
    place.thread = machine.current->thread;
    flash_emulator_switch(&machine.main_stack, machine.current->stack);
}

int run_launch(const Launch &launch) {
    if (machine.lanes == nullptr) machine.lanes = new Lane[most_threads]();
    machine.launch = launch;
    machine.error = 0;
    machine.random_state = machine.seed;
    place.block_threads = launch.block_threads;
    std::copy(launch.grid, launch.grid + 3, place.grid);
    begin_launch_in_shared_memory();
    const u64 blocks = u64(launch.grid[0]) * launch.grid[1] * launch.grid[2];
    // With a seed, from any block on, in steps that have no divisor in common with their number.
    u64 block = machine.seed == 0 ? 0 : random_bits() % blocks, step = 1;
    if (machine.seed != 0) {
        do step = 1 + random_bits() % blocks;
        while (std::__gcd(step, blocks) != 1);
    }
    for (u64 i = 0; i < blocks && machine.error == 0; i++) {
        run_block(block);
        block = (block + step) % blocks;
    }
    return machine.error;
}

}  // namespace emulator
