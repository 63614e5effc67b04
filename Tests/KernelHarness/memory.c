#include "harness.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define UNTOUCHED 0xA5

struct guarded guarded_make(size_t count, size_t padding) {
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), total = count + padding;
    struct guarded memory = {.count = count, .map_bytes = (total / page + 2) * page};
    memory.map = mmap(NULL, memory.map_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory.map == MAP_FAILED || mprotect(memory.map + memory.map_bytes - page, page, PROT_NONE) != 0) {
        perror("guarded memory");
        exit(3);
    }
    memset(memory.map, UNTOUCHED, memory.map_bytes - page - total);
    memory.bytes = memory.map + memory.map_bytes - page - total;
    memset(memory.bytes, 0xFF, total);
    return memory;
}

int guarded_is_intact(const struct guarded *memory) {
    for (const uint8_t *byte = memory->map; byte < memory->bytes; byte++)
        if (*byte != UNTOUCHED) return 0;
    return 1;
}

void guarded_free(struct guarded *memory) { munmap(memory->map, memory->map_bytes); }

void *fresh_scratch(void) {
    static struct guarded scratch;
    if (scratch.bytes == NULL) scratch = guarded_make(FLASH_SCRATCH_BYTES, 0);
    // What kernels read without having written it shows as NaN; the first 64 KB are what small cases use.
    memset(scratch.bytes, 0xFF, 1 << 16);
    return scratch.bytes;
}
