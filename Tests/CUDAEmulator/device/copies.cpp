// Copies from global to shared memory behind a thread's back: `copy_async_16` and those around it.
#include <cstring>

#include "global_memory.h"
#include "machine.h"
#include "shared_memory.h"

namespace emulator {

static void land(Copy &copy, u8 *to) {
    if (copy.has_landed) return;
    copy.has_landed = true;
    if (copy.from == nullptr) {
        std::memset(to, 0, 16);
    } else {
        std::memcpy(to, copy.from, 16);
    }
}

void copy_async(u32 to, const void *from, bool is_valid, Site site) {
    count(ASYNCHRONOUS_COPIES);
    Lane &lane = *machine.current;
    u8 *bytes = begin_copy(to, site);
    if (is_valid) {
        global_load(from, 16, site);
        counts[GLOBAL_LOADS]--;
        bytes_loaded -= 16;
        bytes_copied_asynchronously += 16;
    }
    Copy &copy = lane.copies.emplace_back(Copy{to, is_valid ? from : nullptr, lane.group, false, site});
    const bool is_early = machine.timing == Timing::random && (random_bits() & 1) != 0;
    if (machine.timing == Timing::eager || is_early) land(copy, bytes);
}

void copy_async_commit() { machine.current->group++; }

void copy_async_wait(u32 pending, Site site) {
    Lane &lane = *machine.current;
    size_t landed = 0;
    while (landed < lane.copies.size() && lane.copies[landed].group + pending < lane.group) {
        Copy &copy = lane.copies[landed++];
        land(copy, land_copy(copy.to, site));
    }
    lane.copies.erase(lane.copies.begin(), lane.copies.begin() + std::ptrdiff_t(landed));
}

}  // namespace emulator
