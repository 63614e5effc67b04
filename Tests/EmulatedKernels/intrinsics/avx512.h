// The intrinsics that vectors/avx512.h uses, in plain C over the compiler's vector types, for any processor.
//
// Each does what Intel's Software Developer's Manual, volume 2, says of its instruction, with the default MXCSR: round
// to nearest even, subnormals kept, no exceptions. Only the intrinsics in use are here. A load or store touches the
// bytes that the instruction touches and no others, so that guard pages find the same mistakes.
//
// scripts/test-kernels holds each of them against its definition, against the AVX2 instruction that does the same and,
// on a processor that has AVX-512, against the instruction itself.
#ifndef FLASH_LLM_EMULATED_AVX512_H
#define FLASH_LLM_EMULATED_AVX512_H

#define EMULATED_INTRINSICS

// Wide vectors are passed in memory where the processor has no registers for them; none leaves its file.
#pragma clang diagnostic ignored "-Wpsabi"

#include "types.h"

#include "memory.h"

#include "arithmetic.h"

#include "conversions.h"

#include "permutations.h"

// The path that the other instruction sets do not have.
static inline int gathers_fast(void) { return 1; }
static inline int widens_fast(void) { return 0; }
#define KEEP_VECTOR(a)
// There are no registers to keep accumulators in, and a copy of a kernel for every shape takes minutes to compile.
#define ALWAYS_INLINE static __attribute__((unused))
#define UNROLL _Pragma("clang loop unroll(disable)")
#define FUSED_MULTIPLY_ADD(a, b, c) fused_multiply_add(a, b, c)

#endif
