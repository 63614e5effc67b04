// The functions of gpu.cuh in plain C++, for the emulator: what gpu_ptx.cuh is on a GPU. The signatures are the same,
// but that those which may fail or wait know the place in the source that calls them.
#pragma once

#include <cmath>
#include <cstring>

#include "device/interface.h"
#include "device/numbers.h"

#define GPU_FUNCTION inline __attribute__((always_inline))

#define GPU_KERNEL(name, threads, Parameters)                                                            \
    static void name(const Parameters &parameters);                                                      \
    static const emulator::Kernel emulated_##name(                                                       \
        #name, __FILE__, threads, sizeof(Parameters),                                                    \
        [](const void *parameters) { name(*static_cast<const Parameters *>(parameters)); });             \
    static void name([[maybe_unused]] const Parameters &parameters)

#define GPU_KERNEL_OF_BLOCKS(name, threads, blocks, Parameters) GPU_KERNEL(name, threads, Parameters)

namespace gpu {

using emulator::Site;

// ---- Who runs -------------------------------------------------------------------------------------------------------

GPU_FUNCTION u32 thread() { return emulator::place.thread; }
GPU_FUNCTION u32 block_threads() { return emulator::place.block_threads; }
GPU_FUNCTION u32 lane() { return emulator::place.thread % warp_lanes; }
GPU_FUNCTION u32 block_x() { return emulator::place.block[0]; }
GPU_FUNCTION u32 block_y() { return emulator::place.block[1]; }
GPU_FUNCTION u32 block_z() { return emulator::place.block[2]; }
GPU_FUNCTION u32 grid_x() { return emulator::place.grid[0]; }
GPU_FUNCTION u32 grid_y() { return emulator::place.grid[1]; }
GPU_FUNCTION u32 grid_z() { return emulator::place.grid[2]; }

// ---- Waiting --------------------------------------------------------------------------------------------------------

GPU_FUNCTION void block_barrier(Site site = Site::current()) { emulator::block_barrier(site); }
GPU_FUNCTION void warp_barrier(Site site = Site::current()) {
    emulator::collective(emulator::Operation::warp_barrier, nullptr, site);
}
// Fibers run one at a time: what one has written, the next one sees.
GPU_FUNCTION void device_fence() {}

// Kernels run one after the other.
inline void let_next_kernel_begin() {}
inline void wait_for_kernel_before() {}

// ---- Between the lanes of a warp ------------------------------------------------------------------------------------

GPU_FUNCTION u32 exchange(emulator::Operation operation, u32 value, u32 operand, Site site) {
    emulator::Exchange arguments{value, operand, 0};
    emulator::collective(operation, &arguments, site);
    return arguments.result;
}
GPU_FUNCTION float as_float(u32 bits) { return std::bit_cast<float>(bits); }
GPU_FUNCTION u32 as_bits(float value) { return std::bit_cast<u32>(value); }

GPU_FUNCTION u32 warp(Site site = Site::current()) {
    return exchange(emulator::Operation::warp, thread() / warp_lanes, 0, site);
}

GPU_FUNCTION u32 shuffle(u32 value, u32 from, Site site = Site::current()) {
    return exchange(emulator::Operation::shuffle, value, from, site);
}
GPU_FUNCTION float shuffle(float value, u32 from, Site site = Site::current()) {
    return as_float(exchange(emulator::Operation::shuffle, as_bits(value), from, site));
}
GPU_FUNCTION u32 shuffle_xor(u32 value, u32 bits, Site site = Site::current()) {
    return exchange(emulator::Operation::shuffle_xor, value, bits, site);
}
GPU_FUNCTION float shuffle_xor(float value, u32 bits, Site site = Site::current()) {
    return as_float(exchange(emulator::Operation::shuffle_xor, as_bits(value), bits, site));
}
GPU_FUNCTION u32 shuffle_up(u32 value, u32 distance, Site site = Site::current()) {
    return exchange(emulator::Operation::shuffle_up, value, distance, site);
}
GPU_FUNCTION u32 keep(u32 value, Site site = Site::current()) { return shuffle(value, lane(), site); }
GPU_FUNCTION u32 warp_maximum(u32 value, Site site = Site::current()) {
    for (u32 bits = 1; bits < warp_lanes; bits *= 2) {
        const u32 other = shuffle_xor(value, bits, site);
        value = value > other ? value : other;
    }
    return value;
}
GPU_FUNCTION u32 warp_minimum(u32 value, Site site = Site::current()) { return ~warp_maximum(~value, site); }
GPU_FUNCTION u32 ballot(bool condition, Site site = Site::current()) {
    return exchange(emulator::Operation::ballot, condition, 0, site);
}

// ---- Bits -----------------------------------------------------------------------------------------------------------

GPU_FUNCTION u32 select_bits(u32 a, u32 b, u32 mask) {
    emulator::count(emulator::BIT_OPERATIONS);
    return (a & mask) | (b & ~mask);
}
GPU_FUNCTION u32 popcount(u32 bits) {
    emulator::count(emulator::BIT_OPERATIONS);
    return u32(std::popcount(bits));
}
GPU_FUNCTION u32 funnel_right(u32 low, u32 high, u32 count) {
    emulator::count(emulator::BIT_OPERATIONS);
    return u32((u64(high) << 32 | low) >> (count & 31));
}
GPU_FUNCTION u32 funnel_right_clamped(u32 low, u32 high, u32 count) {
    emulator::count(emulator::BIT_OPERATIONS);
    return u32((u64(high) << 32 | low) >> (count < 32 ? count : 32));
}
GPU_FUNCTION u32 byte_permute(u32 low, u32 high, u32 selector) {
    emulator::count(emulator::BIT_OPERATIONS);
    const u64 bytes = u64(high) << 32 | low;
    u32 result = 0;
    for (u32 i = 0; i < 4; i++) {
        const u32 choice = selector >> 4 * i & 15, byte = u32(bytes >> 8 * (choice & 7)) & 0xff;
        result |= (choice < 8 ? byte : byte >> 7 ? 0xffu : 0u) << 8 * i;
    }
    return result;
}

// ---- 16-bit floats --------------------------------------------------------------------------------------------------

GPU_FUNCTION u32 pack_f16(float low, float high) {
    emulator::count(emulator::CONVERSIONS);
    return emulator::narrow_f16(low) | u32(emulator::narrow_f16(high)) << 16;
}
GPU_FUNCTION u32 pack_bf16(float low, float high) {
    emulator::count(emulator::CONVERSIONS);
    return emulator::narrow_bf16(low) | u32(emulator::narrow_bf16(high)) << 16;
}
GPU_FUNCTION float widen_f16(u16 bits) {
    emulator::count(emulator::CONVERSIONS);
    return emulator::widen_f16(bits);
}
GPU_FUNCTION float widen_bf16(u16 bits) { return emulator::widen_bf16(bits); }

// ---- Float arithmetic -----------------------------------------------------------------------------------------------

GPU_FUNCTION float fused_multiply_add(float a, float b, float c) {
    emulator::count(emulator::FLOAT_FUNCTIONS);
    return std::fma(a, b, c);
}
// Subnormal numbers count as zero, in and out.
GPU_FUNCTION float exp2_approximate(float value) {
    emulator::count(emulator::FLOAT_FUNCTIONS);
    const float result = std::exp2(std::fabs(value) < 0x1p-126f ? 0.0f : value);
    return result < 0x1p-126f ? 0.0f : result;
}
GPU_FUNCTION float reciprocal_square_root(float value) {
    emulator::count(emulator::FLOAT_FUNCTIONS);
    return 1.0f / std::sqrt(value);
}
GPU_FUNCTION float maximum(float a, float b) {
    emulator::count(emulator::FLOAT_FUNCTIONS);
    return std::fmax(a, b);
}

// ---- Shared memory --------------------------------------------------------------------------------------------------

GPU_FUNCTION Shared shared_base() { return emulator::first_shared_address; }

template <typename T>
GPU_FUNCTION T load_shared(Shared address, Site site = Site::current()) {
    T value;
    std::memcpy(&value, emulator::shared_load(address, sizeof(T), site), sizeof(T));
    return value;
}
template <typename T>
GPU_FUNCTION void store_shared(Shared address, T value, Site site = Site::current()) {
    emulator::shared_store(address, &value, sizeof(T), site);
}

// ---- Global memory --------------------------------------------------------------------------------------------------

template <typename T>
GPU_FUNCTION T load(const T *pointer, Site site = Site::current()) {
    T value;
    std::memcpy(&value, emulator::global_load(pointer, sizeof(T), site), sizeof(T));
    return value;
}
template <typename T>
GPU_FUNCTION T load_fresh(const T *pointer, Site site = Site::current()) {
    emulator::yield(pointer, site);
    return load(pointer, site);
}
template <typename T>
GPU_FUNCTION void store(T *pointer, T value, Site site = Site::current()) {
    std::memcpy(emulator::global_store(pointer, sizeof(T), site), &value, sizeof(T));
}
template <typename T>
GPU_FUNCTION T load_streaming(const T *pointer, Site site = Site::current()) {
    static_assert(sizeof(T) == 4 || sizeof(T) == 8 || sizeof(T) == 16);
    return load(pointer, site);
}
// Checks that there is something to bring.
GPU_FUNCTION void prefetch(const void *pointer, Site site = Site::current()) {
    (void)load(static_cast<const u8 *>(pointer), site);
}
GPU_FUNCTION u32 atomic_add(u32 *pointer, u32 value, Site site = Site::current()) {
    emulator::yield(pointer, site);
    emulator::count(emulator::ATOMICS);
    const u32 before = load(pointer, site);
    store(pointer, before + value, site);
    return before;
}

// ---- Copies from global to shared memory ----------------------------------------------------------------------------

GPU_FUNCTION void copy_async_16(Shared to, const void *from, Site site = Site::current()) {
    emulator::copy_async(to, from, true, site);
}
GPU_FUNCTION void copy_async_16_or_zero(Shared to, const void *from, bool valid, Site site = Site::current()) {
    emulator::copy_async(to, from, valid, site);
}
GPU_FUNCTION void copy_async_commit() { emulator::copy_async_commit(); }
template <int pending>
GPU_FUNCTION void copy_async_wait(Site site = Site::current()) {
    static_assert(pending >= 0);
    emulator::copy_async_wait(pending, site);
}

// ---- Tensor cores ---------------------------------------------------------------------------------------------------

GPU_FUNCTION void multiply_f16(
    float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1, Site site = Site::current()) {
    emulator::Product arguments{sums, a, {b0, b1}};
    emulator::collective(emulator::Operation::multiply_f16, &arguments, site);
}
GPU_FUNCTION void multiply_bf16(
    float (&sums)[4], const u32 (&a)[4], u32 b0, u32 b1, Site site = Site::current()) {
    emulator::Product arguments{sums, a, {b0, b1}};
    emulator::collective(emulator::Operation::multiply_bf16, &arguments, site);
}
GPU_FUNCTION void load_matrices(u32 (&words)[4], Shared row, Site site = Site::current()) {
    emulator::MatrixLoad arguments{words, row};
    emulator::collective(emulator::Operation::load_matrices_4, &arguments, site);
}
GPU_FUNCTION void load_matrices(u32 (&words)[2], Shared row, Site site = Site::current()) {
    emulator::MatrixLoad arguments{words, row};
    emulator::collective(emulator::Operation::load_matrices_2, &arguments, site);
}
GPU_FUNCTION void load_matrices_transposed(u32 (&words)[4], Shared row, Site site = Site::current()) {
    emulator::MatrixLoad arguments{words, row};
    emulator::collective(emulator::Operation::load_matrices_transposed_4, &arguments, site);
}

}  // namespace gpu
