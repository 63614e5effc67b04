// How often shared memory makes a warp wait: 32 banks of 4 bytes serve one word each at a time.
#pragma once

#include "machine.h"

namespace emulator {

// What an instruction of the source has cost so far.
struct Conflicts {
    Site site;
    u64 instructions;
    // Turns that the banks needed beyond those that 128 bytes at a time would have taken.
    u64 extra_wavefronts;
};

u64 extra_wavefronts();
const std::vector<Conflicts> &conflicts();
void clear_conflicts();

}  // namespace emulator
