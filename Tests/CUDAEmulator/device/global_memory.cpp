#include "global_memory.h"

#include <cstdlib>
#include <cstring>
#include <deque>
#include <sys/mman.h>

#include "machine.h"

namespace emulator {

namespace {

// Allocations begin at multiples of a unit and end at least a unit before the next one.
constexpr u64 unit = 64 << 10, units = 4 << 20;

u8 *range;
u32 owners[units];  // index + 1 into `allocations`; 0: none
u64 next_unit;
std::deque<Allocation> allocations;

bool reserve_range() {
    if (range != nullptr) return true;
    void *map = mmap(nullptr, units * unit, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (map == MAP_FAILED) return false;
    range = static_cast<u8 *>(map);
    return true;
}

}  // namespace

int device_of_launch;
u64 bytes_loaded, bytes_stored, bytes_copied_asynchronously;

Allocation *allocate(size_t size, int device) {
    const u64 taken = size / unit + 2;
    if (!reserve_range() || taken > units - next_unit) return nullptr;
    u8 *bytes = range + next_unit * unit;
    u8 *written = static_cast<u8 *>(std::calloc(size / 8 + 1, 1));
    if (written == nullptr || mprotect(bytes, (size + 4095) / 4096 * 4096, PROT_READ | PROT_WRITE) != 0) {
        std::free(written);
        return nullptr;
    }
    std::memset(bytes, 0xff, size);
    allocations.push_back({bytes, size, device, true, written});
    for (u64 i = 0; i < taken; i++) owners[next_unit + i] = u32(allocations.size());
    next_unit += taken;
    return &allocations.back();
}

void release(Allocation &allocation) {
    allocation.is_live = false;
    // New pages without access in place of the old ones, whose memory goes back to the system.
    mmap(
        allocation.bytes, (allocation.size + 4095) / 4096 * 4096, PROT_NONE,
        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    std::free(allocation.written);
    allocation.written = nullptr;
}

void forget_allocations() {
    for (Allocation &allocation : allocations) {
        if (allocation.is_live) release(allocation);
    }
    allocations.clear();
    std::memset(owners, 0, next_unit * sizeof owners[0]);
    next_unit = 0;
}

void for_each_allocation(const std::function<void(Allocation &)> &body) {
    for (Allocation &allocation : allocations) body(allocation);
}

Allocation *allocation_at(u64 address) {
    const u64 offset = address - reinterpret_cast<u64>(range);
    if (range == nullptr || offset >= next_unit * unit) return nullptr;
    return &allocations[owners[offset / unit] - 1];
}

bool is_written(const Allocation &allocation, size_t offset, size_t bytes) {
    size_t i = offset;
    for (; i < offset + bytes && i % 8 != 0; i++) {
        if ((allocation.written[i / 8] >> i % 8 & 1) == 0) return false;
    }
    for (; i + 8 <= offset + bytes; i += 8) {
        if (allocation.written[i / 8] != 0xff) return false;
    }
    for (; i < offset + bytes; i++) {
        if ((allocation.written[i / 8] >> i % 8 & 1) == 0) return false;
    }
    return true;
}

void set_written(Allocation &allocation, size_t offset, size_t bytes) {
    size_t i = offset;
    for (; i < offset + bytes && i % 8 != 0; i++) allocation.written[i / 8] |= u8(1 << i % 8);
    const size_t whole = (offset + bytes - i) / 8;
    if (offset + bytes > i) std::memset(allocation.written + i / 8, 0xff, whole);
    for (i += whole * 8; i < offset + bytes; i++) allocation.written[i / 8] |= u8(1 << i % 8);
}

void copy_written(Allocation &to, size_t to_offset, const Allocation &from, size_t from_offset, size_t bytes) {
    for (size_t i = 0; i < bytes; i++) {
        const u8 bit = u8(1 << (to_offset + i) % 8);
        u8 &byte = to.written[(to_offset + i) / 8];
        byte = is_written(from, from_offset + i, 1) ? byte | bit : byte & ~bit;
    }
}

// The allocation that an access of a kernel lies in, wholly.
static Allocation &checked(const void *pointer, u32 bytes, const char *what, Site site) {
    const u64 address = reinterpret_cast<u64>(pointer);
    Allocation *allocation = allocation_at(address);
    if (allocation == nullptr) {
        fail(
            illegal_address, site, "%s %u bytes at %p, which is not device memory: out of bounds", what, bytes,
            pointer);
    }
    const u64 offset = address - reinterpret_cast<u64>(allocation->bytes);
    if (!allocation->is_live) {
        fail(
            illegal_address, site, "%s %u bytes at byte %llu of an allocation of %zu bytes that was freed", what, bytes,
            offset, allocation->size);
    }
    if (offset + bytes > allocation->size) {
        fail(
            illegal_address, site, "%s %u bytes at byte %llu of an allocation of %zu bytes: out of bounds", what, bytes,
            offset, allocation->size);
    }
    if (allocation->device != device_of_launch) {
        fail(illegal_address, site, "%s memory of device %d", what, allocation->device);
    }
    if ((address & (bytes - 1)) != 0) {
        fail(misaligned_address, site, "%s %u bytes at byte %llu of an allocation: misaligned", what, bytes, offset);
    }
    return *allocation;
}

const void *global_load(const void *pointer, u32 bytes, Site site) {
    count(GLOBAL_LOADS);
    bytes_loaded += bytes;
    const Allocation &allocation = checked(pointer, bytes, "reads", site);
    const u64 offset = u64(static_cast<const u8 *>(pointer) - allocation.bytes);
    if (!is_written(allocation, offset, bytes)) {
        fail(
            launch_failed, site, "reads %u bytes at byte %llu of an allocation of %zu bytes, which were never written",
            bytes, offset, allocation.size);
    }
    return pointer;
}

void *global_store(void *pointer, u32 bytes, Site site) {
    count(GLOBAL_STORES);
    bytes_stored += bytes;
    Allocation &allocation = checked(pointer, bytes, "writes", site);
    set_written(allocation, u64(static_cast<u8 *>(pointer) - allocation.bytes), bytes);
    return pointer;
}

}  // namespace emulator
