// Every function of gpu.cuh by itself, so that tests can hold it against what they compute independently.
#include "gpu.cuh"
#include "test_kernels.h"

using namespace gpu;

namespace {

GPU_FUNCTION u32 word(u64 address, u32 index) { return load(reinterpret_cast<const u32 *>(address) + index); }
GPU_FUNCTION void put(u64 address, u32 index, u32 value) { store(reinterpret_cast<u32 *>(address) + index, value); }
GPU_FUNCTION u32 global_thread() {
    return ((block_z() * grid_y() + block_y()) * grid_x() + block_x()) * block_threads() + thread();
}

}  // namespace

// output[8 * global thread ...]: thread, lane, warp, block x, y, z, threads, blocks.
GPU_KERNEL(test_places, 1024, flash_gpu_functions) {
    const u32 first = 8 * global_thread();
    const u32 values[] = {thread(), lane(), warp(), block_x(), block_y(), block_z(), block_threads(),
                          grid_x() * grid_y() * grid_z()};
    for (u32 i = 0; i < 8; i++) put(parameters.output, first + i, values[i]);
}

// One warp. `a`: values, `b`: operands; output [9, 32]: shuffle, shuffle_xor, shuffle_up, float shuffle and
// shuffle_xor, ballot of odd values, keep, warp_maximum, warp_minimum.
GPU_KERNEL(test_shuffles, 32, flash_gpu_functions) {
    const u32 value = word(parameters.a, lane()), operand = word(parameters.b, lane());
    put(parameters.output, lane(), shuffle(value, operand));
    put(parameters.output, 32 + lane(), shuffle_xor(value, operand));
    put(parameters.output, 64 + lane(), shuffle_up(value, operand));
    put(parameters.output, 96 + lane(), as_bits(shuffle(as_float(value), operand)));
    put(parameters.output, 128 + lane(), as_bits(shuffle_xor(as_float(value), operand)));
    put(parameters.output, 160 + lane(), gpu::ballot((value & 1) != 0));
    put(parameters.output, 192 + lane(), keep(value));
    put(parameters.output, 224 + lane(), warp_maximum(value));
    put(parameters.output, 256 + lane(), warp_minimum(value));
}

// output [4, count]: popcount(a), funnel_right, funnel_right_clamped and byte_permute of a, b, c.
GPU_KERNEL(test_bits, 256, flash_gpu_functions) {
    const u32 i = global_thread(), count = parameters.count;
    if (i >= count) return;
    const u32 low = word(parameters.a, i), high = word(parameters.b, i), operand = word(parameters.c, i);
    put(parameters.output, i, popcount(low));
    put(parameters.output, count + i, funnel_right(low, high, operand));
    put(parameters.output, 2 * count + i, funnel_right_clamped(low, high, operand));
    put(parameters.output, 3 * count + i, byte_permute(low, high, operand));
}

// `a`, `b`, `c`: floats. output [8, count]: pack_f16(a, b), pack_bf16(a, b), widen_f16 and widen_bf16 of a's low half,
// fused_multiply_add(a, b, c), exp2_approximate(a), reciprocal_square_root(a), maximum(a, b).
GPU_KERNEL(test_floats, 256, flash_gpu_functions) {
    const u32 i = global_thread(), count = parameters.count;
    if (i >= count) return;
    const float a = as_float(word(parameters.a, i)), b = as_float(word(parameters.b, i));
    const float c = as_float(word(parameters.c, i));
    put(parameters.output, i, pack_f16(a, b));
    put(parameters.output, count + i, pack_bf16(a, b));
    put(parameters.output, 2 * count + i, as_bits(widen_f16(u16(as_bits(a)))));
    put(parameters.output, 3 * count + i, as_bits(widen_bf16(u16(as_bits(a)))));
    put(parameters.output, 4 * count + i, as_bits(fused_multiply_add(a, b, c)));
    put(parameters.output, 5 * count + i, as_bits(exp2_approximate(a)));
    put(parameters.output, 6 * count + i, as_bits(reciprocal_square_root(a)));
    put(parameters.output, 7 * count + i, as_bits(maximum(a, b)));
}

// One warp. `a`: 16 x 16 elements of 16 bits, `b`: 8 columns of 16, `c`: 16 x 8 floats, to which the product is added;
// output 16 x 8 floats. choice 0: f16, 1: bf16.
GPU_KERNEL(test_multiply, 32, flash_gpu_functions) {
    const u32 group = lane() / 4, place = lane() % 4;
    u32 a[4], b[2];
    float sums[4];
    for (u32 i = 0; i < 4; i++) {
        a[i] = word(parameters.a, (group + 8 * (i % 2)) * 8 + place + 4 * (i / 2));
        sums[i] = as_float(word(parameters.c, (group + 8 * (i / 2)) * 8 + 2 * place + i % 2));
    }
    for (u32 i = 0; i < 2; i++) b[i] = word(parameters.b, group * 8 + place + 4 * i);
    if (parameters.choice == 0) {
        multiply_f16(sums, a, b[0], b[1]);
    } else {
        multiply_bf16(sums, a, b[0], b[1]);
    }
    for (u32 i = 0; i < 4; i++) {
        put(parameters.output, (group + 8 * (i / 2)) * 8 + 2 * place + i % 2, as_bits(sums[i]));
    }
}

// One warp. `a`: 32 rows of 8 elements of 16 bits; output [4, 32] words. choice 0: four matrices, 1: two, 2: four
// transposed.
GPU_KERNEL(test_load_matrices, 32, flash_gpu_functions) {
    // Rows lie at a distance of 48 bytes, in no order.
    const Shared row = shared_base() + (lane() * 5 % 32) * 48;
    for (u32 i = 0; i < 4; i++) store_shared(row + 4 * i, word(parameters.a, lane() * 4 + i));
    warp_barrier();
    u32 words[4] = {};
    if (parameters.choice == 0) load_matrices(words, row);
    if (parameters.choice == 1) {
        u32 pair[2];
        load_matrices(pair, row);
        words[0] = pair[0];
        words[1] = pair[1];
    }
    if (parameters.choice == 2) load_matrices_transposed(words, row);
    for (u32 i = 0; i < 4; i++) put(parameters.output, 32 * i + lane(), words[i]);
}

// `a`: 16 bytes per thread, moved through shared memory in pieces of every size; output the same bytes.
GPU_KERNEL(test_shared_types, 64, flash_gpu_functions) {
    const Shared to = shared_base() + thread() * 16;
    const Words4 words = load(reinterpret_cast<const Words4 *>(parameters.a) + thread());
    store_shared(to, words);
    for (u32 i = 0; i < 16; i++) store_shared(to + i, load_shared<u8>(to + i));
    for (u32 i = 0; i < 16; i += 2) store_shared(to + i, load_shared<u16>(to + i));
    for (u32 i = 0; i < 16; i += 4) store_shared(to + i, load_shared<u32>(to + i));
    for (u32 i = 0; i < 16; i += 4) store_shared(to + i, load_shared<float>(to + i));
    for (u32 i = 0; i < 16; i += 8) store_shared(to + i, load_shared<Words2>(to + i));
    store(reinterpret_cast<Words4 *>(parameters.output) + thread(), load_shared<Words4>(to));
}

// `a`: 16 bytes per thread; output the same, zeros for threads from `count` on.
GPU_KERNEL(test_copies, 64, flash_gpu_functions) {
    const Shared to = shared_base() + thread() * 16;
    const Words4 *from = reinterpret_cast<const Words4 *>(parameters.a) + thread();
    copy_async_16_or_zero(to, from, thread() < parameters.count);
    copy_async_commit();
    copy_async_commit();
    copy_async_wait<1>();
    store(reinterpret_cast<Words4 *>(parameters.output) + thread(), load_shared<Words4>(to));
}

// `b` [0]: a counter. Every block adds its sum of `a` into output[block]; the last one to come adds those up into
// output[blocks]: what results are made of that no block has alone.
GPU_KERNEL(test_last_block, 64, flash_gpu_functions) {
    u32 *output = reinterpret_cast<u32 *>(parameters.output);
    atomic_add(output + block_x(), word(parameters.a, global_thread()));
    device_fence();
    block_barrier();
    if (thread() == 0) {
        const u32 before = atomic_add(reinterpret_cast<u32 *>(parameters.b), 1);
        store_shared(shared_base(), before);
    }
    block_barrier();
    if (load_shared<u32>(shared_base()) + 1 != grid_x()) return;
    for (u32 i = thread(); i < grid_x(); i += block_threads()) atomic_add(output + grid_x(), load_fresh(output + i));
}

// One warp. Stores words (choice 0: 1, 1: 2, 2: 4 at a time) at a distance of `count` bytes, for the statistics.
GPU_KERNEL(test_conflicts, 32, flash_gpu_functions) {
    const Shared to = shared_base() + lane() * parameters.count;
    if (parameters.choice == 0) store_shared(to, 1u);
    if (parameters.choice == 1) store_shared(to, Words2{1, 2});
    if (parameters.choice == 2) store_shared(to, Words4{1, 2, 3, 4});
}

// Lanes go different ways before their stores, which are one instruction all the same.
GPU_KERNEL(test_divergent_conflicts, 32, flash_gpu_functions) {
    if (lane() % 2 == 0) store_shared(shared_base() + 4096 + lane() * 4, 1u);
    store_shared(shared_base() + lane() * parameters.count, 1u);
}
