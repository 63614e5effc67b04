#include "shared_memory.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace emulator {

namespace {

enum class Kind : u8 { one_lane, several_lanes, whole_warp, several_warps };

struct Segment {
    u32 thread;  // of one lane, or the warp's first
    u32 warp_epoch;
    Kind kind;
    Site site;
};

constexpr u32 most_bytes = 227 << 10, bytes_of_planes = most_bytes + 64;
constexpr u32 under_way = 1u << 31;  // with a writer's segment: a copy that has not landed
constexpr u32 most_segments = 1u << 30;

alignas(1024) u8 memory[bytes_of_planes];
u32 writers[bytes_of_planes], readers[bytes_of_planes];
u32 size;

// Segments below `epoch_first` are older than the last block_barrier, below `block_first` than the block.
u32 epoch_first = 1, block_first = 1, next_segment = 1;
std::vector<Segment> segments;  // [next_segment - epoch_first]
u32 several_warps_segment;

const Segment &segment_at(u32 segment) { return segments[(segment & ~under_way) - epoch_first]; }

u32 add_segment(u32 thread, u32 warp_epoch, Kind kind, Site site) {
    segments.push_back({thread, warp_epoch, kind, site});
    return next_segment++;
}

const void *identity(Site site) { return std::bit_cast<const void *>(site); }

u32 own_segment(Lane &lane, Site site) {
    const u32 epoch = lane.warp->epoch;
    const bool is_same = lane.segment_warp_epoch == epoch && identity(lane.segment_site) == identity(site);
    if (lane.segment < epoch_first || !is_same) {
        lane.segment = add_segment(lane.thread, epoch, Kind::one_lane, site);
        lane.segment_warp_epoch = epoch;
        lane.segment_site = site;
    }
    return lane.segment;
}

u32 several_lanes_segment(Warp &warp, Site site) {
    if (warp.readers_segment < epoch_first || warp.readers_epoch != warp.epoch) {
        warp.readers_segment = add_segment(warp.index * lanes_of_warp, warp.epoch, Kind::several_lanes, site);
        warp.readers_epoch = warp.epoch;
    }
    return warp.readers_segment;
}

u32 whole_warp_segment(Warp &warp, Site site) {
    if (warp.collective_segment < epoch_first || warp.collective_epoch != warp.epoch
        || identity(warp.collective_site) != identity(site)) {
        warp.collective_segment = add_segment(warp.index * lanes_of_warp, warp.epoch, Kind::whole_warp, site);
        warp.collective_epoch = warp.epoch;
        warp.collective_site = site;
    }
    return warp.collective_segment;
}

// Whether what `segment`, of this epoch, did is ordered before what `lane` does now.
bool is_before(const Segment &segment, const Lane &lane) {
    if (segment.kind == Kind::several_warps) return false;
    if (segment.kind == Kind::one_lane && segment.thread == lane.thread) return true;
    if (segment.thread / lanes_of_warp != lane.thread / lanes_of_warp) return false;
    return segment.kind == Kind::whole_warp || segment.warp_epoch < lane.warp->epoch;
}

const char *name_of(Kind kind) {
    static const char *const names[] = {"", " and others of its warp", " and its whole warp", " and other warps"};
    return names[u8(kind)];
}

[[noreturn]] void fail_in_race(const char *what, u32 offset, const char *other, const Segment &segment, Site site) {
    fail(
        launch_failed, site, "race in shared memory: %s byte %u that thread %u%s %s at line %u, no barrier between",
        what, offset, segment.thread, name_of(segment.kind), other, unsigned(segment.site.line()));
}

[[noreturn]] void fail_under_way(const char *what, u32 offset, Site site) {
    for (u32 i = 0; i < machine.launch.block_threads; i++) {
        for (const Copy &copy : machine.lanes[i].copies) {
            const u32 first = copy.to - first_shared_address;
            if (offset < first || offset >= first + 16) continue;
            fail(
                launch_failed, site,
                "%s byte %u of shared memory while a copy is under way: thread %u began it at line %u, has not waited",
                what, offset, i, unsigned(copy.site.line()));
        }
    }
    fail(launch_failed, site, "%s byte %u of shared memory while a copy is under way", what, offset);
}

// The offset of an access that lies within the block's memory.
u32 checked(u32 address, u32 bytes, const char *what, Site site) {
    const u32 offset = address - first_shared_address;
    if (address < first_shared_address || offset + bytes > size || offset + bytes < offset) {
        fail(
            illegal_address, site, "%s %u bytes at byte %lld of %u bytes of shared memory: out of bounds", what, bytes,
            static_cast<long long>(address) - first_shared_address, size);
    }
    if ((address & (bytes - 1)) != 0) {
        fail(misaligned_address, site, "%s %u bytes of shared memory at byte %u: misaligned", what, bytes, offset);
    }
    return offset;
}

void check_read(const Lane &lane, u32 offset, Site site) {
    const u32 writer = writers[offset];
    if ((writer & under_way) != 0) fail_under_way("reads", offset, site);
    if (writer < block_first) {
        fail(launch_failed, site, "reads byte %u of shared memory, which was never written", offset);
    }
    if (writer < epoch_first || is_before(segment_at(writer), lane)) return;
    fail_in_race("reads", offset, "wrote", segment_at(writer), site);
}

void check_write(const Lane &lane, u32 offset, const u8 *value, Site site) {
    const u32 writer = writers[offset], reader = readers[offset];
    if ((writer & under_way) != 0) fail_under_way("writes", offset, site);
    // Who writes what is there already changes nothing, whoever comes first.
    const bool is_same = value != nullptr && *value == memory[offset];
    if (writer >= epoch_first && !is_same && !is_before(segment_at(writer), lane)) {
        fail_in_race("writes", offset, "wrote", segment_at(writer), site);
    }
    if (reader >= epoch_first && !is_before(segment_at(reader), lane)) {
        fail_in_race("writes", offset, "read", segment_at(reader), site);
    }
}

// Those that have read a byte since the last barrier, one more reader included: `own` stands alone where it comes after
// all others, so that who is ordered behind it is ordered behind them.
u32 joined(u32 before, u32 own, Warp &warp, Site site) {
    if (before < epoch_first || before == own) return own;
    if (before == warp.readers_segment && warp.readers_epoch == warp.epoch) return before;
    const Segment &old = segment_at(before), &now = segment_at(own);
    if (old.kind == Kind::several_warps) return before;
    if (old.thread / lanes_of_warp != warp.index) {
        if (several_warps_segment < epoch_first) {
            several_warps_segment = add_segment(old.thread, 0, Kind::several_warps, old.site);
        }
        return several_warps_segment;
    }
    const bool is_same_lane = old.kind == Kind::one_lane && now.kind == Kind::one_lane && old.thread == now.thread;
    if (old.kind == Kind::whole_warp || is_same_lane || old.warp_epoch < warp.epoch) return own;
    return several_lanes_segment(warp, site);
}

template <u32 bytes>
void check_and_note_read(const Lane &lane, u32 offset, u32 own, Site site) {
    // One comparison for both limits: a byte is at ease if it was written in this block and before the last barrier.
    u32 is_unusual = 0;
    for (u32 i = 0; i < bytes; i++) is_unusual |= writers[offset + i] - block_first >= epoch_first - block_first;
    if (is_unusual) {
        for (u32 i = 0; i < bytes; i++) check_read(lane, offset + i, site);
    }
    u32 has_readers = 0;
    for (u32 i = 0; i < bytes; i++) has_readers |= readers[offset + i] >= epoch_first;
    if (!has_readers) {
        for (u32 i = 0; i < bytes; i++) readers[offset + i] = own;
        return;
    }
    for (u32 i = 0; i < bytes; i++) readers[offset + i] = joined(readers[offset + i], own, *lane.warp, site);
}

// `value` is what is written, null for a copy.
template <u32 bytes>
void check_and_note_write(const Lane &lane, u32 offset, const void *value, u32 own, Site site) {
    u32 is_unusual = 0;
    for (u32 i = 0; i < bytes; i++) {
        is_unusual |= writers[offset + i] >= epoch_first;
        is_unusual |= readers[offset + i] >= epoch_first;
    }
    if (is_unusual) {
        const u8 *next = static_cast<const u8 *>(value);
        for (u32 i = 0; i < bytes; i++) check_write(lane, offset + i, next == nullptr ? next : next + i, site);
    }
    for (u32 i = 0; i < bytes; i++) writers[offset + i] = own;
}

// Calls with the size as a constant, so that the loops over bytes become a few instructions.
template <typename Body>
void with_size(u32 bytes, Body body) {
    switch (bytes) {
        case 1: body(std::integral_constant<u32, 1>()); break;
        case 2: body(std::integral_constant<u32, 2>()); break;
        case 4: body(std::integral_constant<u32, 4>()); break;
        case 8: body(std::integral_constant<u32, 8>()); break;
        default: body(std::integral_constant<u32, 16>());
    }
}

}  // namespace

void begin_launch_in_shared_memory() {
    if (next_segment < most_segments) return;
    std::memset(writers, 0, sizeof writers);
    std::memset(readers, 0, sizeof readers);
    epoch_first = block_first = next_segment = 1;
}

void begin_barrier_epoch() {
    segments.clear();
    epoch_first = next_segment;
}

void begin_block_in_shared_memory(u32 bytes) {
    size = bytes;
    std::memset(memory, 0xff, bytes);
    begin_barrier_epoch();
    // Copies that were under way when the former block ended are forgotten with it.
    for (u32 i = 0; i < bytes; i++) writers[i] &= ~under_way;
    block_first = next_segment;
}

void *shared_load(u32 address, u32 bytes, Site site) {
    count(SHARED_LOADS);
    Lane &lane = *machine.current;
    const u32 offset = checked(address, bytes, "reads", site);
    const u32 own = own_segment(lane, site);
    with_size(bytes, [&](auto size) { check_and_note_read<size>(lane, offset, own, site); });
    lane.accesses.push_back({identity(site), offset, u8(bytes), false});
    return memory + offset;
}

void shared_store(u32 address, const void *value, u32 bytes, Site site) {
    count(SHARED_STORES);
    Lane &lane = *machine.current;
    const u32 offset = checked(address, bytes, "writes", site);
    const u32 own = own_segment(lane, site);
    with_size(bytes, [&](auto size) { check_and_note_write<size>(lane, offset, value, own, site); });
    lane.accesses.push_back({identity(site), offset, u8(bytes), true});
    std::memcpy(memory + offset, value, bytes);
}

u8 *begin_copy(u32 address, Site site) {
    Lane &lane = *machine.current;
    const u32 offset = checked(address, 16, "copies", site), own = own_segment(lane, site);
    check_and_note_write<16>(lane, offset, nullptr, own | under_way, site);
    std::memset(memory + offset, 0xff, 16);
    return memory + offset;
}

u8 *land_copy(u32 address, Site site) {
    Lane &lane = *machine.current;
    const u32 offset = address - first_shared_address, own = own_segment(lane, site);
    std::fill_n(writers + offset, 16, own);
    return memory + offset;
}

void load_matrix_row(Warp &warp, u32 lane_index, u32 address, u16 *elements) {
    const Lane &lane = machine.lanes[warp.index * lanes_of_warp + lane_index];
    place.thread = lane.thread;
    const u32 offset = checked(address, 16, "loads a matrix's row of", warp.site);
    check_and_note_read<16>(lane, offset, whole_warp_segment(warp, warp.site), warp.site);
    std::memcpy(elements, memory + offset, 16);
    place.thread = machine.current->thread;
}

}  // namespace emulator
