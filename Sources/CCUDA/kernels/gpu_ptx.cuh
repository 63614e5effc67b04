// The functions of gpu.cuh on a GPU. PTX ISA 9.0 is the source of every instruction's meaning; figures of throughput
// are lanes per clock and multiprocessor on compute capability 9.0 (CUDA C++ Programming Guide, arithmetic throughput).
#pragma once

#define GPU_FUNCTION __device__ __forceinline__

// Defines kernel `name` for blocks of at most `threads` threads, with one parameter: a struct, by value, that the host
// declares, too (gpu_parameters.h). What follows is the kernel's body, which reads `parameters`. The compiler is told
// to make room for `blocks` blocks on a multiprocessor: left alone it aims at some number of its own, and spills.
#define GPU_KERNEL_OF_BLOCKS(name, threads, blocks, Parameters) \
    extern "C" __global__ void __launch_bounds__(threads, blocks) name(const __grid_constant__ Parameters parameters)
#define GPU_KERNEL(name, threads, Parameters) GPU_KERNEL_OF_BLOCKS(name, threads, 1, Parameters)

namespace gpu {

// ---- Who runs -------------------------------------------------------------------------------------------------------

GPU_FUNCTION u32 thread() { return threadIdx.x; }
GPU_FUNCTION u32 block_threads() { return blockDim.x; }
GPU_FUNCTION u32 lane() { return threadIdx.x % warp_lanes; }
// The same in all lanes of a warp, and the compiler is told so, by a shuffle: what depends on it alone takes uniform
// registers. All 32 lanes ask together; a lane that asks alone waits for ever.
GPU_FUNCTION u32 warp() { return __shfl_sync(0xffffffffu, threadIdx.x / warp_lanes, 0); }
GPU_FUNCTION u32 block_x() { return blockIdx.x; }
GPU_FUNCTION u32 block_y() { return blockIdx.y; }
GPU_FUNCTION u32 block_z() { return blockIdx.z; }
GPU_FUNCTION u32 grid_x() { return gridDim.x; }
GPU_FUNCTION u32 grid_y() { return gridDim.y; }
GPU_FUNCTION u32 grid_z() { return gridDim.z; }

// ---- Waiting --------------------------------------------------------------------------------------------------------

// Waits for all threads of the block; orders their accesses to shared and global memory.
GPU_FUNCTION void block_barrier() { __syncthreads(); }
// Waits for all lanes of the warp; orders their accesses.
GPU_FUNCTION void warp_barrier() { __syncwarp(); }
// Orders this thread's accesses to global memory as all threads of the device see them.
GPU_FUNCTION void device_fence() { __threadfence(); }

// A kernel that is launched "early" (Kernel+Launch.swift) may begin while the one before it in the stream still runs,
// as soon as all blocks of that one have said so or have ended. Compute capability 9.0; others wait as ever.
GPU_FUNCTION void let_next_kernel_begin() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.launch_dependents;");
#endif
}
// Until the kernel before this one in the stream has ended, and what it wrote is there.
GPU_FUNCTION void wait_for_kernel_before() {
#if __CUDA_ARCH__ >= 900
    asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// ---- Between the lanes of a warp: all 32 take part -----------------------------------------------------------------

GPU_FUNCTION u32 shuffle(u32 value, u32 from) { return __shfl_sync(0xffffffffu, value, from); }
GPU_FUNCTION float shuffle(float value, u32 from) { return __shfl_sync(0xffffffffu, value, from); }
GPU_FUNCTION u32 shuffle_xor(u32 value, u32 bits) { return __shfl_xor_sync(0xffffffffu, value, bits); }
GPU_FUNCTION float shuffle_xor(float value, u32 bits) { return __shfl_xor_sync(0xffffffffu, value, bits); }
// Lane `lane() - distance`'s value; a lane that has no such neighbour keeps its own.
GPU_FUNCTION u32 shuffle_up(u32 value, u32 distance) { return __shfl_up_sync(0xffffffffu, value, distance); }
// The value as it is. Compilers compute some values anew in a loop rather than keep them in registers, though that
// takes several instructions; this one they cannot.
GPU_FUNCTION u32 keep(u32 value) { return shuffle(value, lane()); }
// The largest and the smallest value of the warp.
GPU_FUNCTION u32 warp_maximum(u32 value) { return __reduce_max_sync(0xffffffffu, value); }
GPU_FUNCTION u32 warp_minimum(u32 value) { return __reduce_min_sync(0xffffffffu, value); }
// Bit i: the condition of lane i.
GPU_FUNCTION u32 ballot(bool condition) { return __ballot_sync(0xffffffffu, condition); }

// ---- Bits ----------------------------------------------------------------------------------------------------------

// 16 lanes a clock, a quarter of an addition's rate.
GPU_FUNCTION u32 popcount(u32 bits) { return __popc(bits); }
// 64 bits high:low, shifted right by `count` bits (0...31), the low word.
GPU_FUNCTION u32 funnel_right(u32 low, u32 high, u32 count) { return __funnelshift_r(low, high, count); }
// The same with `count` limited to 32.
GPU_FUNCTION u32 funnel_right_clamped(u32 low, u32 high, u32 count) { return __funnelshift_rc(low, high, count); }
// Byte i of the result: byte `selector >> 4 * i & 7` of low (0...3) and high (4...7); with bit 3 set, its sign 8 times.
// Not __byte_perm, which clears the selector's bits 3.
GPU_FUNCTION u32 byte_permute(u32 low, u32 high, u32 selector) {
    u32 result;
    asm("prmt.b32 %0, %1, %2, %3;" : "=r"(result) : "r"(low), "r"(high), "r"(selector));
    return result;
}
// `a`'s bits where `mask` has ones, `b`'s where it has zeros. One instruction; from operators the compiler makes two.
GPU_FUNCTION u32 select_bits(u32 a, u32 b, u32 mask) {
    u32 result;
    asm("lop3.b32 %0, %1, %2, %3, 0xe4;" : "=r"(result) : "r"(a), "r"(b), "r"(mask));
    return result;
}
GPU_FUNCTION float as_float(u32 bits) { return __uint_as_float(bits); }
GPU_FUNCTION u32 as_bits(float value) { return __float_as_uint(value); }

// ---- 16-bit floats, two in a word, the first in the low half -------------------------------------------------------

GPU_FUNCTION u32 pack_f16(float low, float high) {
    u32 result;
    asm("cvt.rn.f16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}
GPU_FUNCTION u32 pack_bf16(float low, float high) {
    u32 result;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
    return result;
}
GPU_FUNCTION float widen_f16(u16 bits) {
    float result;
    asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(bits));
    return result;
}
GPU_FUNCTION float widen_bf16(u16 bits) { return as_float(u32(bits) << 16); }

// ---- Float arithmetic that C++ has no operator for -----------------------------------------------------------------

GPU_FUNCTION float fused_multiply_add(float a, float b, float c) { return __fmaf_rn(a, b, c); }
// 2 to the power of value; relative error up to 2^-22.
GPU_FUNCTION float exp2_approximate(float value) {
    float result;
    asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(value));
    return result;
}
GPU_FUNCTION float reciprocal_square_root(float value) { return rsqrtf(value); }
// The larger one; of a number and NaN the number.
GPU_FUNCTION float maximum(float a, float b) { return fmaxf(a, b); }

// ---- Shared memory -------------------------------------------------------------------------------------------------

extern __shared__ __align__(1024) u8 shared_bytes[];

// The block's dynamic shared memory, aligned to 1024 bytes.
GPU_FUNCTION Shared shared_base() { return static_cast<u32>(__cvta_generic_to_shared(shared_bytes)); }

template <typename T>
GPU_FUNCTION T load_shared(Shared address);
template <typename T>
GPU_FUNCTION void store_shared(Shared address, T value);

template <>
GPU_FUNCTION u8 load_shared<u8>(Shared address) {
    u32 value;
    asm volatile("ld.shared.u8 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
    return static_cast<u8>(value);
}
template <>
GPU_FUNCTION u16 load_shared<u16>(Shared address) {
    u16 value;
    asm volatile("ld.shared.u16 %0, [%1];" : "=h"(value) : "r"(address) : "memory");
    return value;
}
template <>
GPU_FUNCTION u32 load_shared<u32>(Shared address) {
    u32 value;
    asm volatile("ld.shared.u32 %0, [%1];" : "=r"(value) : "r"(address) : "memory");
    return value;
}
template <>
GPU_FUNCTION float load_shared<float>(Shared address) {
    float value;
    asm volatile("ld.shared.f32 %0, [%1];" : "=f"(value) : "r"(address) : "memory");
    return value;
}
template <>
GPU_FUNCTION Words2 load_shared<Words2>(Shared address) {
    Words2 value;
    asm volatile("ld.shared.v2.u32 {%0, %1}, [%2];" : "=r"(value.x), "=r"(value.y) : "r"(address) : "memory");
    return value;
}
template <>
GPU_FUNCTION Words4 load_shared<Words4>(Shared address) {
    Words4 value;
    asm volatile("ld.shared.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "r"(address)
                 : "memory");
    return value;
}
template <>
GPU_FUNCTION void store_shared<u8>(Shared address, u8 value) {
    asm volatile("st.shared.u8 [%0], %1;" ::"r"(address), "r"(u32(value)) : "memory");
}
template <>
GPU_FUNCTION void store_shared<u16>(Shared address, u16 value) {
    asm volatile("st.shared.u16 [%0], %1;" ::"r"(address), "h"(value) : "memory");
}
template <>
GPU_FUNCTION void store_shared<u32>(Shared address, u32 value) {
    asm volatile("st.shared.u32 [%0], %1;" ::"r"(address), "r"(value) : "memory");
}
template <>
GPU_FUNCTION void store_shared<float>(Shared address, float value) {
    asm volatile("st.shared.f32 [%0], %1;" ::"r"(address), "f"(value) : "memory");
}
template <>
GPU_FUNCTION void store_shared<Words2>(Shared address, Words2 value) {
    asm volatile("st.shared.v2.u32 [%0], {%1, %2};" ::"r"(address), "r"(value.x), "r"(value.y) : "memory");
}
template <>
GPU_FUNCTION void store_shared<Words4>(Shared address, Words4 value) {
    asm volatile("st.shared.v4.u32 [%0], {%1, %2, %3, %4};" ::"r"(address), "r"(value.x), "r"(value.y), "r"(value.z),
                 "r"(value.w)
                 : "memory");
}

// ---- Global memory -------------------------------------------------------------------------------------------------

template <typename T>
GPU_FUNCTION T load(const T *pointer) {
    return *pointer;
}
// For what other blocks write while this kernel runs: not from the first-level cache.
template <typename T>
GPU_FUNCTION T load_fresh(const T *pointer) {
    return __ldcg(pointer);
}
template <>
GPU_FUNCTION Words4 load_fresh<Words4>(const Words4 *pointer) {
    Words4 value;
    asm volatile("ld.global.cg.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "l"(pointer)
                 : "memory");
    return value;
}
template <typename T>
GPU_FUNCTION void store(T *pointer, T value) {
    *pointer = value;
}
// For what is read once and never written while the kernel runs: weights. Does not displace the first-level cache.
template <typename T>
GPU_FUNCTION T load_streaming(const T *pointer);
template <>
GPU_FUNCTION u32 load_streaming<u32>(const u32 *pointer) {
    u32 value;
    asm volatile("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(value) : "l"(pointer));
    return value;
}
template <>
GPU_FUNCTION Words2 load_streaming<Words2>(const Words2 *pointer) {
    Words2 value;
    asm volatile("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(value.x), "=r"(value.y) : "l"(pointer));
    return value;
}
template <>
GPU_FUNCTION Words4 load_streaming<Words4>(const Words4 *pointer) {
    Words4 value;
    asm volatile("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(value.x), "=r"(value.y), "=r"(value.z), "=r"(value.w)
                 : "l"(pointer));
    return value;
}
// Brings the line that `pointer` is in to the second-level cache, if it is not there.
GPU_FUNCTION void prefetch(const void *pointer) {
    asm volatile("prefetch.global.L2 [%0];" ::"l"(__cvta_generic_to_global(pointer)));
}
// Adds and returns what was there before.
GPU_FUNCTION u32 atomic_add(u32 *pointer, u32 value) { return atomicAdd(pointer, value); }

// ---- Copies from global to shared memory behind the thread's back --------------------------------------------------

// 16 bytes; both addresses are multiples of 16. Lands at the latest when `copy_async_wait` says so.
GPU_FUNCTION void copy_async_16(Shared to, const void *from) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(to), "l"(__cvta_generic_to_global(from)) : "memory");
}
// The same, or 16 zero bytes; `from` is not read then but must be a valid address.
GPU_FUNCTION void copy_async_16_or_zero(Shared to, const void *from, bool valid) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(to), "l"(__cvta_generic_to_global(from)),
                 "r"(valid ? 16 : 0)
                 : "memory");
}
// Closes the group of this thread's copies since the last call.
GPU_FUNCTION void copy_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
// Waits until at most the `pending` youngest groups of this thread are under way. A barrier must follow before other
// threads may read what landed.
template <int pending>
GPU_FUNCTION void copy_async_wait() {
    asm volatile("cp.async.wait_group %0;" ::"n"(pending) : "memory");
}

// ---- Tensor cores --------------------------------------------------------------------------------------------------
//
// `sums` [16 rows x 8 columns] += `a` [16 x 16] * `b` [16 x 8], float32 sums. With group = lane / 4 and
// place = lane % 4:
//   a[0]: row group,      columns 2 * place, + 1        a[2]: row group,      columns 2 * place + 8, + 9
//   a[1]: row group + 8,  the same columns              a[3]: row group + 8,  the same columns
//   b[0]: rows 2 * place, + 1 of column group           b[1]: rows 2 * place + 8, + 9
//   sums[0], [1]: row group, columns 2 * place, + 1     sums[2], [3]: row group + 8

GPU_FUNCTION void multiply_f16(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
GPU_FUNCTION void multiply_bf16(float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
                 "{%0, %1, %2, %3};"
                 : "+f"(sums[0]), "+f"(sums[1]), "+f"(sums[2]), "+f"(sums[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}

// Four 8 x 8 matrices of 16-bit elements: lanes 8 * i ..< 8 * i + 8 give the addresses of matrix i's rows (16 bytes
// each, aligned to 16), and `words[i]` receives row lane / 4, columns 2 * (lane % 4), + 1 of matrix i.
GPU_FUNCTION void load_matrices(u32 (&words)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(row)
                 : "memory");
}
// Two matrices; the addresses of lanes 16 and up are not used.
GPU_FUNCTION void load_matrices(u32 (&words)[2], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];"
                 : "=r"(words[0]), "=r"(words[1])
                 : "r"(row)
                 : "memory");
}
// The same with every matrix transposed.
GPU_FUNCTION void load_matrices_transposed(u32 (&words)[4], Shared row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "r"(row)
                 : "memory");
}

}  // namespace gpu
