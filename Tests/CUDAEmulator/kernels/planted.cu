// Kernels with one mistake each, and their right twins: the emulator must find every mistake in every schedule, and
// nothing where there is none. All are for 64 threads and 1024 bytes of shared memory.
#include "gpu.cuh"
#include "test_kernels.h"

using namespace gpu;

namespace {

constexpr u32 threads = 64;

GPU_FUNCTION const u32 *input_of(const flash_gpu_planted &parameters) {
    return reinterpret_cast<const u32 *>(parameters.input);
}
GPU_FUNCTION u32 *output_of(const flash_gpu_planted &parameters) { return reinterpret_cast<u32 *>(parameters.output); }
GPU_FUNCTION Shared own_word() { return shared_base() + thread() * 4; }
GPU_FUNCTION Shared other_word() { return shared_base() + (threads - 1 - thread()) * 4; }

}  // namespace

// Another warp's words are read before it is sure to have written them.
GPU_KERNEL(planted_barrier_before_reading, threads, flash_gpu_planted) {
    store_shared(own_word(), load(input_of(parameters) + thread()));
    if (!parameters.is_wrong) block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(other_word()));
}

// Words are written again before the other warp is sure to have read them.
GPU_KERNEL(planted_barrier_before_writing, threads, flash_gpu_planted) {
    store_shared(own_word(), load(input_of(parameters) + thread()));
    block_barrier();
    const u32 value = load_shared<u32>(other_word());
    if (!parameters.is_wrong) block_barrier();
    store_shared(own_word(), value);
    block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(own_word()));
}

// The neighbour is of the same warp: a barrier of the warp is enough, and needed.
GPU_KERNEL(planted_warp_barrier, threads, flash_gpu_planted) {
    store_shared(own_word(), load(input_of(parameters) + thread()));
    if (parameters.is_wrong) {
        ballot(true);
    } else {
        warp_barrier();
    }
    store(output_of(parameters) + thread(), load_shared<u32>(shared_base() + (thread() ^ 31) * 4));
}

// A barrier of the warp does not order two warps.
GPU_KERNEL(planted_warp_barrier_for_block, threads, flash_gpu_planted) {
    store_shared(own_word(), load(input_of(parameters) + thread()));
    if (parameters.is_wrong) {
        warp_barrier();
    } else {
        block_barrier();
    }
    store(output_of(parameters) + thread(), load_shared<u32>(other_word()));
}

// Threads write different values into the same word; in the right twin, all write the same.
GPU_KERNEL(planted_same_word, threads, flash_gpu_planted) {
    store_shared(shared_base(), load(input_of(parameters) + (parameters.is_wrong ? thread() : 0)));
    block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(shared_base()));
}

// Matrices are loaded that other warps write.
GPU_KERNEL(planted_matrix_barrier, threads, flash_gpu_planted) {
    const u32 word = load(input_of(parameters) + thread());
    for (u32 i = 0; i < 4; i++) store_shared(own_word() + i * 4 * threads, word);
    if (!parameters.is_wrong) block_barrier();
    u32 words[4];
    load_matrices(words, shared_base() + (lane() ^ 1) * 16);
    store(output_of(parameters) + thread(), words[0] + words[1] + words[2] + words[3]);
}

namespace {

GPU_FUNCTION void copy_words(const flash_gpu_planted &parameters) {
    if (thread() < 16) {
        const void *from = reinterpret_cast<const void *>(parameters.input + thread() * 16);
        copy_async_16(shared_base() + thread() * 16, from);
    }
    copy_async_commit();
}

}  // namespace

// The barrier is there, but nobody waits for the copies.
GPU_KERNEL(planted_copy_wait, threads, flash_gpu_planted) {
    copy_words(parameters);
    if (!parameters.is_wrong) copy_async_wait<0>();
    block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(own_word()));
}

// The wait leaves the youngest group under way, which is the one that is read.
GPU_KERNEL(planted_copy_wait_too_few, threads, flash_gpu_planted) {
    copy_words(parameters);
    if (!parameters.is_wrong) copy_async_commit();
    copy_async_wait<1>();
    block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(own_word()));
}

// Copies that are in no group yet are not waited for.
GPU_KERNEL(planted_copy_commit, threads, flash_gpu_planted) {
    const void *from = reinterpret_cast<const void *>(parameters.input + thread() / 4 * 16);
    if (thread() % 4 == 0) copy_async_16(shared_base() + thread() / 4 * 16, from);
    if (!parameters.is_wrong) copy_async_commit();
    copy_async_wait<0>();
    block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(own_word()));
}

// Each thread waits for its own copies only: without a barrier the others' may still be under way.
GPU_KERNEL(planted_copy_barrier, threads, flash_gpu_planted) {
    copy_words(parameters);
    copy_async_wait<0>();
    if (!parameters.is_wrong) block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(own_word()));
}

// A copy goes where another warp may still read.
GPU_KERNEL(planted_copy_too_early, threads, flash_gpu_planted) {
    store_shared(own_word(), load(input_of(parameters) + thread()));
    block_barrier();
    const u32 value = load_shared<u32>(other_word());
    if (!parameters.is_wrong) block_barrier();
    copy_words(parameters);
    copy_async_wait<0>();
    block_barrier();
    store(output_of(parameters) + thread(), value + load_shared<u32>(own_word()));
}

GPU_KERNEL(planted_read_out_of_bounds, threads, flash_gpu_planted) {
    const u32 first = parameters.is_wrong ? 1 : 0;
    store(output_of(parameters) + thread(), load(input_of(parameters) + thread() + first));
}

GPU_KERNEL(planted_write_out_of_bounds, threads, flash_gpu_planted) {
    const u32 first = parameters.is_wrong ? 1 : 0;
    store(output_of(parameters) + thread() - first, load(input_of(parameters) + thread()));
}

GPU_KERNEL(planted_copy_out_of_bounds, threads, flash_gpu_planted) {
    const u32 first = parameters.is_wrong ? 16 : 0;
    if (thread() < 16) {
        copy_async_16(shared_base() + thread() * 16, reinterpret_cast<const void *>(
            parameters.input + first + thread() * 16));
    }
    copy_async_commit();
    copy_async_wait<0>();
    block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(own_word()));
}

GPU_KERNEL(planted_shared_out_of_bounds, threads, flash_gpu_planted) {
    const u32 distance = parameters.is_wrong ? 1024 : 768;
    store_shared(own_word() + distance, load(input_of(parameters) + thread()));
    store(output_of(parameters) + thread(), load_shared<u32>(own_word() + distance));
}

GPU_KERNEL(planted_matrix_out_of_bounds, threads, flash_gpu_planted) {
    for (u32 i = 0; i < 4; i++) store_shared(own_word() + i * 4 * threads, load(input_of(parameters) + thread()));
    block_barrier();
    u32 words[2];
    // The addresses of lanes 16 and up are not used, and may be anything.
    const u32 distance = parameters.is_wrong ? 64 : 48;
    load_matrices(words, shared_base() + (distance + lane()) * 16);
    store(output_of(parameters) + thread(), words[0] + words[1]);
}

GPU_KERNEL(planted_global_misaligned, threads, flash_gpu_planted) {
    const u32 shift = parameters.is_wrong ? 4 : 0;
    if (thread() < 4) {
        const auto *words = reinterpret_cast<const Words4 *>(parameters.input + thread() * 16 + shift);
        store(output_of(parameters) + thread(), load_streaming(words).x);
    }
}

GPU_KERNEL(planted_shared_misaligned, threads, flash_gpu_planted) {
    const u32 shift = parameters.is_wrong ? 8 : 0;
    if (thread() < 4) store_shared(shared_base() + thread() * 16 + shift, Words4{1, 2, 3, 4});
}

GPU_KERNEL(planted_shared_unwritten, threads, flash_gpu_planted) {
    if (!parameters.is_wrong || thread() != 40) store_shared(own_word(), load(input_of(parameters) + thread()));
    block_barrier();
    store(output_of(parameters) + thread(), load_shared<u32>(other_word()));
}

// `output` has never been written.
GPU_KERNEL(planted_global_unwritten, threads, flash_gpu_planted) {
    if (!parameters.is_wrong) store(output_of(parameters) + thread(), 1u);
    store(output_of(parameters) + thread(), load(output_of(parameters) + thread()) + 1);
}

GPU_KERNEL(planted_divergent_shuffle, threads, flash_gpu_planted) {
    u32 value = load(input_of(parameters) + thread());
    if (parameters.is_wrong && lane() >= 16) {
        value = shuffle_up(value, 1);
    } else {
        value = shuffle_xor(value, 1);
    }
    store(output_of(parameters) + thread(), value);
}

GPU_KERNEL(planted_half_a_warp, threads, flash_gpu_planted) {
    u32 value = load(input_of(parameters) + thread());
    if (!parameters.is_wrong || lane() < 16) value = shuffle_xor(value, 1);
    store(output_of(parameters) + thread(), value);
}

// Half of a warp waits for a shuffle that the other half reaches only behind the block's barrier.
GPU_KERNEL(planted_deadlock, threads, flash_gpu_planted) {
    u32 value = load(input_of(parameters) + thread());
    if (parameters.is_wrong && lane() < 16) value = shuffle_xor(value, 1);
    block_barrier();
    if (!parameters.is_wrong || lane() >= 16) value = shuffle_xor(value, 1);
    store(output_of(parameters) + thread(), value);
}

// A lane asks alone which warp it is in: on a GPU that is a shuffle of all lanes.
GPU_KERNEL(planted_lone_lane, threads, flash_gpu_planted) {
    u32 value = load(input_of(parameters) + thread());
    if (!parameters.is_wrong || lane() == 0) value += warp();
    block_barrier();
    store(output_of(parameters) + thread(), value);
}

// The two warps wait at different barriers, which on a GPU may let both pass.
GPU_KERNEL(planted_divergent_barrier, threads, flash_gpu_planted) {
    if (parameters.is_wrong && thread() < 32) {
        block_barrier();
    } else {
        block_barrier();
    }
    store(output_of(parameters) + thread(), load(input_of(parameters) + thread()));
}

// Waits for what only a block that has not begun would write.
GPU_KERNEL(planted_endless_loop, threads, flash_gpu_planted) {
    u32 *output = output_of(parameters) + thread();
    store(output, load(input_of(parameters) + thread()));
    while (parameters.is_wrong && load_fresh(output) != 0xffffffff) {}
}
