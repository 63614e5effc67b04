#ifndef FLASH_LLM_CFILES_H
#define FLASH_LLM_CFILES_H

#include <stdint.h>

// Calls of the operating system that Swift's view of the C library leaves out. Nothing but the calls.

// Has the system begin to write `count` bytes of an open file from `first` on from memory to the disk, and does not
// wait for them, nor for an error: fsync will report it. Elsewhere than on Linux nothing is begun.
void file_start_writing(int descriptor, int64_t first, int64_t count);

#endif
