// The device's memory: a range of the host's addresses in which every allocation has pages of its own.
#pragma once

#include <cstddef>
#include <functional>

#include "interface.h"

namespace emulator {

struct Allocation {
    u8 *bytes;
    size_t size;
    int device;
    bool is_live;
    // One bit per byte: whether it was ever written.
    u8 *written;
};

// Null if there is no room. Addresses are not given out twice before `forget_allocations`, so that every late access
// to freed memory is known for what it is.
Allocation *allocate(size_t size, int device);
void release(Allocation &allocation);
void forget_allocations();
void for_each_allocation(const std::function<void(Allocation &)> &body);

// The allocation, live or not, that the address lies in or behind; null where none ever was.
Allocation *allocation_at(u64 address);

bool is_written(const Allocation &allocation, size_t offset, size_t bytes);
void set_written(Allocation &allocation, size_t offset, size_t bytes);
// As one byte of another: copies between allocations take along what was never written.
void copy_written(Allocation &to, size_t to_offset, const Allocation &from, size_t from_offset, size_t bytes);

// Of kernels.
extern int device_of_launch;
extern u64 bytes_loaded, bytes_stored, bytes_copied_asynchronously;

}  // namespace emulator
