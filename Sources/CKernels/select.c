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
#elif defined(__aarch64__)
#if defined(__linux__)
#include <asm/hwcap.h>
#include <sys/auxv.h>

static int has_dot_product(void) { return (getauxval(AT_HWCAP) & HWCAP_ASIMDDP) != 0; }
#elif defined(__APPLE__)
#include <sys/sysctl.h>

static int has_dot_product(void) {
    int value = 0;
    size_t size = sizeof value;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &value, &size, NULL, 0) == 0 && value != 0;
}
#else
static int has_dot_product(void) { return 0; }
#endif
#endif

const struct flash_kernels *flash_kernels_select(const char *name) {
#if defined(__x86_64__)
    if (has_avx512() && (name == NULL || strcmp(name, "avx512") == 0))
        return __builtin_cpu_supports("avx512bf16") ? &flash_kernels_avx512_bf16 : &flash_kernels_avx512;
    if (has_avx2() && (name == NULL || strcmp(name, "avx2") == 0)) return &flash_kernels_avx2;
#elif defined(__aarch64__)
    if (has_dot_product() && (name == NULL || strcmp(name, "neon-dotprod") == 0)) return &flash_kernels_neon_dotprod;
    if (name == NULL || strcmp(name, "neon") == 0) return &flash_kernels_neon;
#endif
    if (name == NULL || strcmp(name, "portable") == 0) return &flash_kernels_portable;
    return NULL;
}
