// The greedy choice of the next token. A block reads a row of logits: 128,000 of them are some 5 us, and a copy of them
// to the host would be longer.
#include "gpu.cuh"
#include "gpu_parameters.h"
#include "soft_cap.cuh"
#include "turns.cuh"

using namespace gpu;

namespace {

// Elements that a thread loads before it looks at the first.
constexpr u32 ahead = 8;

// The largest element seen, and its place. NaN is larger than all.
struct Choice {
    float value;
    u32 place;

    GPU_FUNCTION void take(float other, u32 other_place) {
        const bool is_nan = other != other, have_nan = value != value;
        const bool is_first = other_place < place;
        const bool is_larger = other > value || (other == value && is_first);
        if (!(is_nan ? !have_nan || is_first : !have_nan && is_larger)) return;
        value = other;
        place = other_place;
    }

    GPU_FUNCTION void reduce_warp() {
#pragma unroll
        for (u32 bits = warp_lanes / 2; bits > 0; bits /= 2) {
            const float other = shuffle_xor(value, bits);
            take(other, shuffle_xor(place, bits));
        }
    }
};

}  // namespace

GPU_KERNEL(argmax, 1024, flash_gpu_argmax) {
    take_turn();
    const u64 row = block_x();
    float *input = reinterpret_cast<float *>(parameters.input) + row * parameters.width;
    // Below every element, at a place behind every element.
    const Choice none = {as_float(0xff800000u), ~0u};
    Choice choice = none;
    const u32 width = parameters.width, threads = block_threads();
    for (u32 first = thread(); first < width; first += ahead * threads) {
        // All asked for at once: one by one each would take the time that an access takes.
        float found[ahead];
#pragma unroll
        for (u32 index = 0; index < ahead; index++) {
            const u32 place = first + index * threads;
            found[index] = load(input + (place < width ? place : first));
        }
#pragma unroll
        for (u32 index = 0; index < ahead; index++) {
            const u32 place = first + index * threads;
            if (place >= width) continue;
            if (parameters.cap != 0) {
                found[index] = soft_cap(found[index], parameters.cap);
                store(input + place, found[index]);
            }
            choice.take(found[index], place);
        }
    }
    choice.reduce_warp();
    const Shared slots = shared_base();
    // All lanes ask for the warp's number together.
    const Shared own = slots + 8 * warp();
    if (lane() == 0) store_shared(own, Words2{as_bits(choice.value), choice.place});
    block_barrier();
    if (warp() != 0) return;
    choice = none;
    if (lane() < block_threads() / warp_lanes) {
        const Words2 words = load_shared<Words2>(slots + 8 * lane());
        choice = {as_float(words.x), words.y};
    }
    choice.reduce_warp();
    const bool is_finite = (as_bits(choice.value) & 0x7f800000u) != 0x7f800000u;
    const i32 token = is_finite ? i32(choice.place) : FLASH_GPU_NO_TOKEN;
    if (lane() == 0) store(reinterpret_cast<i32 *>(parameters.output) + row, token);
}
