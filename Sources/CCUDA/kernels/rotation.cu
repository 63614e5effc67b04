// Normalised and rotated queries, and keys and values in the cache: one warp for each head of a token.
#include "gpu.cuh"
#include "gpu_parameters.h"
#include "turns.cuh"

using namespace gpu;

namespace {

GPU_FUNCTION u16 narrow(float value) { return static_cast<u16>(pack_f16(value, 0)); }

struct Rotation {
    float cosine, sine;

    GPU_FUNCTION static Rotation at(const float *table, u32 row, u32 half, u32 pair) {
        const Words2 words = load(reinterpret_cast<const Words2 *>(table) + u64(row) * half + pair);
        return {as_float(words.x), as_float(words.y)};
    }
    // The one after the other.
    GPU_FUNCTION Rotation then(Rotation other) const {
        return {fused_multiply_add(cosine, other.cosine, -(sine * other.sine)),
                fused_multiply_add(sine, other.cosine, cosine * other.sine)};
    }
};

// Where a head of a token is read and written, and what happens to it.
struct Head {
    const float *from;
    u16 *to;
    bool is_rotated;
    // Of as many elements as the head has; 0 for none.
    u64 bias, norm;

    // Heads count through queries, keys and values.
    GPU_FUNCTION Head(const flash_gpu_rotation &parameters, u32 token, u32 index) {
        const u32 queries = parameters.head_count, heads = parameters.cache_head_count;
        const u64 stride = parameters.head_stride;
        from = reinterpret_cast<const float *>(parameters.projected)
               + (u64(token) * (queries + 2 * heads) + index) * parameters.head_size;
        bias = parameters.bias == 0 ? 0 : parameters.bias + u64(index) * parameters.head_size * sizeof(float);
        if (index < queries) {
            to = reinterpret_cast<u16 *>(parameters.rotated) + (u64(token) * queries + index) * stride;
            is_rotated = parameters.rotations != 0;
            norm = parameters.query_norm;
            return;
        }
        const u32 kind = (index - queries) / heads, head = (index - queries) % heads;
        const u32 slot = u32(load(reinterpret_cast<const i32 *>(parameters.slots) + token));
        const u32 block = slot / FLASH_GPU_CACHE_TOKENS, place = slot % FLASH_GPU_CACHE_TOKENS;
        to = reinterpret_cast<u16 *>(parameters.cache)
             + (((u64(block) * 2 + kind) * heads + head) * FLASH_GPU_CACHE_TOKENS + place) * stride;
        is_rotated = kind == 0 && parameters.rotations != 0;
        norm = kind == 0 ? parameters.key_norm : 0;
    }

    GPU_FUNCTION float operator[](u32 element) const {
        const float value = load(from + element);
        return bias == 0 ? value : value + load(reinterpret_cast<const float *>(bias) + element);
    }

    // What elements are multiplied by before their weights; of all lanes' elements.
    GPU_FUNCTION float factor(u32 size, float epsilon) const {
        float squares = 0;
        for (u32 element = lane(); element < size; element += warp_lanes) {
            const float value = (*this)[element];
            squares = fused_multiply_add(value, value, squares);
        }
#pragma unroll
        for (u32 bits = warp_lanes / 2; bits > 0; bits /= 2) squares += shuffle_xor(squares, bits);
        return reciprocal_square_root(squares / float(size) + epsilon);
    }

    GPU_FUNCTION float weight(u32 element) const { return load(reinterpret_cast<const float *>(norm) + element); }
};

}  // namespace

GPU_KERNEL(rotate_append, FLASH_GPU_STEP_THREADS, flash_gpu_rotation) {
    take_turn();
    const u32 token = block_x(), index = block_y() * (FLASH_GPU_STEP_THREADS / warp_lanes) + warp();
    if (index >= parameters.head_count + 2 * parameters.cache_head_count) return;
    const Head head(parameters, token, index);
    const float *table = reinterpret_cast<const float *>(parameters.rotations);
    const u32 place = u32(load(reinterpret_cast<const i32 *>(parameters.positions) + token));
    const u32 position = place % FLASH_GPU_LONG_SEQUENCE;
    const u32 first_row = place == position ? 0 : parameters.long_row;
    const u32 half = parameters.head_size / 2;
    // The same for all lanes of a warp.
    const float factor = head.norm == 0 ? 1 : head.factor(parameters.head_size, parameters.epsilon);
    for (u32 pair = lane(); pair < half; pair += warp_lanes) {
        float first = head[pair], second = head[half + pair];
        if (head.norm != 0) {
            first *= factor * head.weight(pair);
            second *= factor * head.weight(half + pair);
        }
        if (head.is_rotated) {
            const u32 fine_row = first_row + position % FLASH_GPU_FINE_ROTATIONS;
            const Rotation fine = Rotation::at(table, fine_row, half, pair);
            const u32 coarse = first_row + FLASH_GPU_FINE_ROTATIONS + position / FLASH_GPU_FINE_ROTATIONS;
            const Rotation turn = Rotation::at(table, coarse, half, pair).then(fine);
            const float a = first, b = second;
            first = fused_multiply_add(a, turn.cosine, -(b * turn.sine));
            second = fused_multiply_add(b, turn.cosine, a * turn.sine);
        }
        store(head.to + pair, narrow(first));
        store(head.to + half + pair, narrow(second));
    }
    for (u32 element = parameters.head_size + lane(); element < parameters.head_stride; element += warp_lanes) {
        store(head.to + element, u16(0));
    }
}
