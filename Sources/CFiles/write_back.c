#define _GNU_SOURCE
#include "CFiles.h"

#include <fcntl.h>

void file_start_writing(int descriptor, int64_t first, int64_t count) {
#if defined(__linux__)
    (void)sync_file_range(descriptor, first, count, SYNC_FILE_RANGE_WRITE);
#else
    (void)descriptor, (void)first, (void)count;
#endif
}
