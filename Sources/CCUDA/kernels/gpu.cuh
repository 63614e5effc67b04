// The instructions of a GPU that our kernels use, each a function: in PTX on a GPU (gpu_ptx.cuh), in plain C++ in the
// emulator that the tests run on (emulated_gpu.h, Tests/CUDAEmulator). Kernels use these functions and ordinary
// arithmetic, nothing else: no threadIdx, no __shared__, no reading or writing memory through a bare pointer. So the
// emulator sees every access, and the very same source runs in both places.
//
// Kernels have no includes but ours, because NVRTC brings no headers.
#pragma once

namespace gpu {

using i8 = signed char;
using u8 = unsigned char;
using i16 = short;
using u16 = unsigned short;
using i32 = int;
using u32 = unsigned int;
using i64 = long long;
using u64 = unsigned long long;

// What one thread moves with one instruction: 8 or 16 bytes, aligned to as much.
struct alignas(8) Words2 {
    u32 x, y;
};
struct alignas(16) Words4 {
    u32 x, y, z, w;
};

// An address in the block's shared memory, in bytes; `shared_base()` is the first one.
using Shared = u32;

constexpr int warp_lanes = 32;

}  // namespace gpu

#if defined(__CUDACC__)
#include "gpu_ptx.cuh"
#else
#include "emulated_gpu.h"
#endif
