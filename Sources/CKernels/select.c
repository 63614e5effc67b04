#include "tables.h"

#include <string.h>

#if defined(__x86_64__)
static int has_avx2(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c") &&
           __builtin_cpu_supports("bmi2");
}

static int has_avx512(void) {
    return has_avx2() && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2") &&
           __builtin_cpu_supports("avx512vnni");
}
#endif

const struct flash_kernels *flash_kernels_select(const char *name) {
#if defined(__x86_64__)
    if (has_avx512() && (name == NULL || strcmp(name, "avx512") == 0)) return &flash_kernels_avx512;
    if (has_avx2() && (name == NULL || strcmp(name, "avx2") == 0)) return &flash_kernels_avx2;
#endif
    if (name == NULL || strcmp(name, "portable") == 0) return &flash_kernels_portable;
    return NULL;
}
