#include "harness.h"

#include "EmulatedKernels.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

const struct flash_kernels *kernels;
int isFused = 1;

static int64_t case_count, failure_count;
static uint64_t random_state;

void check(int isRight, const char *format, ...) {
    case_count++;
    if (isRight) return;
    if (++failure_count > 12) return;
    va_list arguments;
    va_start(arguments, format);
    fprintf(stderr, "  failed: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
}

void random_restart(uint64_t seed) { random_state = seed; }

// SplitMix64 (Steele, Lea, Flood, doi:10.1145/2714064.2660195).
uint64_t random_bits(void) {
    uint64_t z = random_state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return z ^ z >> 31;
}

int64_t random_below(int64_t limit) { return (int64_t)(random_bits() % (uint64_t)limit); }

float random_float(float low, float high) {
    return low + (high - low) * (float)(random_bits() >> 40) * 0x1p-24f;
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"products", test_products},   {"quantized", test_quantized_products}, {"quantize", test_quantize},
    {"weights", test_weights},     {"packing", test_packing},             {"attention", test_attention},
    {"elementwise", test_elementwise},
};

// harness SET [TEST ...]: 0 if all went right, 1 if something failed, 4 if this machine lacks the instruction set.
int main(int argument_count, char **arguments) {
    if (argument_count < 2) {
        fprintf(stderr, "usage: %s SET [TEST ...]\n", arguments[0]);
        return 2;
    }
    const char *set = arguments[1];
    const double start = seconds();
    if (strcmp(set, "intrinsics") == 0) {
        test_intrinsics();
    } else {
        kernels = strcmp(set, "avx512-emulated") == 0 ? emulated_avx512_kernels() : flash_kernels_select(set);
        if (kernels == NULL) return 4;
#if !defined(__aarch64__)
        isFused = strcmp(set, "portable") != 0;
#endif
        for (size_t i = 0; i < sizeof tests / sizeof *tests; i++) {
            int isAsked = argument_count == 2;
            for (int a = 2; a < argument_count; a++) isAsked |= strcmp(arguments[a], tests[i].name) == 0;
            random_restart(i);
            if (isAsked) tests[i].run();
        }
    }
    printf(
        "%-16s %7lld cases, %lld failed, %.1f s\n", set, (long long)case_count, (long long)failure_count,
        seconds() - start);
    return failure_count == 0 && case_count > 0 ? 0 : 1;
}
