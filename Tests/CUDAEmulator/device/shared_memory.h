// The block's shared memory, and for each byte who wrote and who read it last.
//
// Accesses are ordered by barriers alone. Between two of them a thread's accesses at one place of the source are a
// segment, a number that only rises; each byte keeps the segment of its last writer and of its last readers. Segments
// from before the last `block_barrier` are ordered before everything that comes, and of those since then a table knows
// the thread and the epoch of its warp, which `warp_barrier` raises. So a missing barrier shows in every schedule,
// whether or not it made a difference. A shuffle or another collective orders nothing: CUDA promises that of barriers
// only.
#pragma once

#include "machine.h"

namespace emulator {

void begin_launch_in_shared_memory();
void begin_block_in_shared_memory(u32 bytes);
// After a block_barrier.
void begin_barrier_epoch();

// Bytes of a copy: written, but not to be touched before the copying thread's wait.
u8 *begin_copy(u32 address, Site site);
u8 *land_copy(u32 address, Site site);

// One row of 8 elements of 16 bits, on behalf of lane `lane`, that all lanes of the warp then hold.
void load_matrix_row(Warp &warp, u32 lane, u32 address, u16 *elements);

// Adds the conflicts of a matrix load to the statistics: 8 rows at a time.
void count_matrix_conflicts(const u32 *addresses, u32 matrices, Site site);

}  // namespace emulator
