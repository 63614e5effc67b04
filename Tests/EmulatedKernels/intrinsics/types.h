// The types of the intrinsics, and views of them by lanes.
#ifndef FLASH_LLM_EMULATED_TYPES_H
#define FLASH_LLM_EMULATED_TYPES_H

#include <stdint.h>

#define INTRINSIC static inline __attribute__((always_inline, unused))
// Those of more than a few instructions are called: inlined into every kernel they would take minutes to compile.
#define LONG_INTRINSIC static __attribute__((noinline, unused))
#define LONG_OVERLOADED static __attribute__((noinline, unused, overloadable))

typedef float __m128 __attribute__((vector_size(16)));
typedef float __m256 __attribute__((vector_size(32)));
typedef float __m512 __attribute__((vector_size(64)));
typedef double __m512d __attribute__((vector_size(64)));
typedef long long __m128i __attribute__((vector_size(16)));
typedef long long __m256i __attribute__((vector_size(32)));
typedef long long __m512i __attribute__((vector_size(64)));
typedef uint16_t __m512bh __attribute__((vector_size(64)));
typedef uint16_t __mmask16;
typedef uint32_t __mmask32;
typedef uint64_t __mmask64;

typedef uint8_t lanes_u8x16 __attribute__((vector_size(16)));
typedef int8_t lanes_i8x32 __attribute__((vector_size(32)));
typedef int16_t lanes_i16x32 __attribute__((vector_size(64)));
typedef uint16_t lanes_u16x4 __attribute__((vector_size(8)));
typedef uint16_t lanes_u16x8 __attribute__((vector_size(16)));
typedef uint16_t lanes_u16x16 __attribute__((vector_size(32)));
typedef uint16_t lanes_u16x32 __attribute__((vector_size(64)));
typedef uint32_t lanes_u32x4 __attribute__((vector_size(16)));
typedef uint32_t lanes_u32x8 __attribute__((vector_size(32)));
typedef uint32_t lanes_u32x16 __attribute__((vector_size(64)));
typedef int32_t lanes_i32x16 __attribute__((vector_size(64)));
typedef double lanes_f64x4 __attribute__((vector_size(32)));
typedef double lanes_f64x8 __attribute__((vector_size(64)));
typedef double lanes_f64x16 __attribute__((vector_size(128)));
typedef uint64_t lanes_u64x4 __attribute__((vector_size(32)));
typedef uint64_t lanes_u64x8 __attribute__((vector_size(64)));
typedef uint64_t lanes_u64x16 __attribute__((vector_size(128)));

// Immediate operands of the intrinsics that the headers of the compiler would define.
#define _MM_FROUND_TO_NEAREST_INT 0
#define _MM_FROUND_NO_EXC 8
#define _CMP_LT_OQ 17

#endif
