// Preloaded by scripts/count-allocations: counts every allocation of a program and, at its end, appends the count to
// the file that ALLOCATION_COUNT names. With ALLOCATION_TRACE=n it also prints the stack of every n-th one.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <execinfo.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// glibc's own entry points: looking them up by dlsym would itself allocate.
extern void *__libc_malloc(size_t);
extern void *__libc_calloc(size_t, size_t);
extern void *__libc_realloc(void *, size_t);
extern void *__libc_memalign(size_t, size_t);

static atomic_long count;
static long trace_interval;
static _Thread_local int is_tracing;

static void note(void) {
    const long number = atomic_fetch_add_explicit(&count, 1, memory_order_relaxed);
    if (trace_interval == 0 || number % trace_interval != 0 || is_tracing) return;
    is_tracing = 1;
    void *frames[16];
    const int depth = backtrace(frames, 16);
    dprintf(STDERR_FILENO, "allocation %ld\n", number);
    backtrace_symbols_fd(frames + 2, depth - 2, STDERR_FILENO);
    is_tracing = 0;
}

void *malloc(size_t size) {
    note();
    return __libc_malloc(size);
}

void *calloc(size_t elements, size_t size) {
    note();
    return __libc_calloc(elements, size);
}

void *realloc(void *block, size_t size) {
    note();
    return __libc_realloc(block, size);
}

void *memalign(size_t alignment, size_t size) {
    note();
    return __libc_memalign(alignment, size);
}

void *aligned_alloc(size_t alignment, size_t size) { return memalign(alignment, size); }

int posix_memalign(void **block, size_t alignment, size_t size) {
    *block = memalign(alignment, size);
    return *block == NULL ? 12 : 0;  // ENOMEM
}

__attribute__((constructor)) static void begin(void) {
    const char *interval = getenv("ALLOCATION_TRACE");
    trace_interval = interval == NULL ? 0 : atol(interval);
}

__attribute__((destructor)) static void end(void) {
    const char *path = getenv("ALLOCATION_COUNT");
    const int file = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_APPEND, 0666);
    if (file < 0) return;
    dprintf(file, "%ld\n", atomic_load(&count));
    close(file);
}
