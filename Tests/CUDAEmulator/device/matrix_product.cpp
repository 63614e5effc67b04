#include "matrix_product.h"

#include "numbers.h"

namespace emulator {

namespace {

constexpr u32 rows = 16, columns = 8, depth = 16, lanes = 32;

// The fragments of gpu.cuh, put together.
struct Operands {
    alignas(32) u16 a[rows][depth];
    alignas(32) u16 b[depth][columns];
};

Operands gather(void *const *arguments) {
    Operands operands;
    for (u32 lane = 0; lane < lanes; lane++) {
        const auto &product = *static_cast<const Product *>(arguments[lane]);
        const u32 group = lane / 4, place = 2 * (lane % 4);
        for (u32 i = 0; i < 4; i++) {
            u16 *elements = &operands.a[group + 8 * (i % 2)][place + 8 * (i / 2)];
            elements[0] = u16(product.a[i]);
            elements[1] = u16(product.a[i] >> 16);
        }
        for (u32 i = 0; i < 2; i++) {
            operands.b[place + 8 * i][group] = u16(product.b[i]);
            operands.b[place + 8 * i + 1][group] = u16(product.b[i] >> 16);
        }
    }
    return operands;
}

void add(void *const *arguments, const double (&sums)[rows][columns]) {
    for (u32 lane = 0; lane < lanes; lane++) {
        float *own = static_cast<const Product *>(arguments[lane])->sums;
        const u32 group = lane / 4, place = 2 * (lane % 4);
        for (u32 i = 0; i < 4; i++) own[i] = float(own[i] + sums[group + 8 * (i / 2)][place + i % 2]);
    }
}

// Written once, compiled for AVX2 too: there the compiler takes four columns at a time.
template <float (*widen)(u16)>
inline __attribute__((always_inline)) void multiply(void *const *arguments) {
    const Operands operands = gather(arguments);
    double b[depth][columns], sums[rows][columns];
    for (u32 k = 0; k < depth; k++) {
        for (u32 column = 0; column < columns; column++) b[k][column] = widen(operands.b[k][column]);
    }
    for (u32 row = 0; row < rows; row++) {
        double sum[columns] = {};
        for (u32 k = 0; k < depth; k++) {
            const double a = widen(operands.a[row][k]);
            for (u32 column = 0; column < columns; column++) sum[column] += a * b[k][column];
        }
        for (u32 column = 0; column < columns; column++) sums[row][column] = sum[column];
    }
    add(arguments, sums);
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) void multiply_f16_avx2(void *const *arguments) { multiply<widen_f16>(arguments); }
__attribute__((target("avx2"))) void multiply_bf16_avx2(void *const *arguments) { multiply<widen_bf16>(arguments); }
const bool has_avx2 = __builtin_cpu_supports("avx2");
#else
constexpr bool has_avx2 = false;
void multiply_f16_avx2(void *const *) {}
void multiply_bf16_avx2(void *const *) {}
#endif

}  // namespace

void multiply_f16(void *const *arguments) {
    has_avx2 ? multiply_f16_avx2(arguments) : multiply<widen_f16>(arguments);
}

void multiply_bf16(void *const *arguments) {
    has_avx2 ? multiply_bf16_avx2(arguments) : multiply<widen_bf16>(arguments);
}

}  // namespace emulator
