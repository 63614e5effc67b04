// Weights as a gap stream: nonzeros in an order of their own, each by its distance from the one before.
//
// A group of the stream is 32 lanes x `lane_values` consecutive nonzeros: lane l has the l-th such run. In memory a
// group is rows of 32 words, one word a lane: first the gaps, 32 / `gap_bits` in a word from its low bits on, then the
// values, two in a word. So a warp reads whole lines, knows where its next group is without asking, and no lane has
// more to do than another.
//
// weights[0]: the groups, u32 [groups, gap words + value words, 32]
// weights[1]: u32 [panels * segments + 1]: the first group of each segment of a panel
#include "product.cuh"

using namespace gpu;

namespace {

// Expands into a ring of shared memory: four strips of 16 x 64, each as its fragments lie behind each other. Five lane
// instructions for a nonzero (cut the gap out, add it, turn the place into an address, store), half a one to bring an
// odd value down, and a quarter for each element, zero or not, to read the ring and to clear it.
//
// A strip is 16 lines of 128 bytes, and places count down the lines first: 32 places in a row are one bank. The runs of
// 32 lanes, some 30 to 50 places each, so begin on different banks and move on together. In the order of addresses
// lanes hit banks at random, and a store took 3.4 turns of the shared memory instead of half as many.
template <int gap_bits, int gap_words>
struct GapStream {
    static constexpr int word_gaps = 32 / gap_bits;
    static constexpr int lane_values = gap_words * word_gaps;
    static constexpr int value_words = (lane_values + 1) / 2;
    static constexpr int group_rows = gap_words + value_words;
    static constexpr u32 gap_mask = (1u << gap_bits) - 1;

    static constexpr u32 strip_places = 1024;
    static constexpr u32 ring_places = FLASH_GPU_RING_PLACES;
    static constexpr bool is_shared = false;
    static constexpr u32 warp_bytes = FLASH_GPU_GAP_STREAM_WARP_BYTES;
    static_assert(warp_bytes == 2 * ring_places);

    const u32 *next_group;  // of this lane
    const u32 *first_groups;
    u32 groups_left;
    u32 segment_steps;
    u32 segment_steps_left;
    u32 reached;  // places before this one, counted from the segment's beginning on, have been read
    Shared ring;
    u32 position;  // of the last nonzero that was stored, counted likewise
    u32 words[group_rows];

    GPU_FUNCTION GapStream(const flash_gpu_product &product, u32 panel, Shared shared) {
        const u32 steps = (product.columns + FLASH_GPU_STEP_COLUMNS - 1) / FLASH_GPU_STEP_COLUMNS;
        segment_steps = product.segment_steps;
        const u32 segments = (steps + segment_steps - 1) / segment_steps;
        const u32 first_segment = block_z() * (product.slice_steps / segment_steps);
        first_groups = reinterpret_cast<const u32 *>(product.weights[1]) + panel * segments + first_segment;
        const u32 first = load(first_groups);
        next_group = reinterpret_cast<const u32 *>(product.weights[0]) + u64(first) * group_rows * warp_lanes + lane();
        groups_left = 0;
        position = 0;
        reached = 0;
        segment_steps_left = 0;
        ring = shared;
        for (u32 offset = 0; offset < warp_bytes; offset += 16 * warp_lanes) {
            store_shared(ring + offset + lane() * 16, Words4{0, 0, 0, 0});
        }
    }

    GPU_FUNCTION void fetch(u32) {}

    GPU_FUNCTION void begin_segment() {
        groups_left = load(first_groups + 1) - load(first_groups);
        first_groups += 1;
        segment_steps_left = segment_steps;
        reached = 0;
        // One before the first element.
        position = ~0u;
        if (groups_left > 0) load_group();
    }

    GPU_FUNCTION void load_group() {
#pragma unroll
        for (int row = 0; row < group_rows; row++) words[row] = load_streaming(next_group + row * warp_lanes);
        next_group += group_rows * warp_lanes;
    }

    // A gap, shifted left by `shift`.
    GPU_FUNCTION u32 gap(int index, int shift) const {
        const int low = index % word_gaps * gap_bits - shift;
        const u32 word = words[index / word_gaps];
        return (low < 0 ? word << -low : word >> low) & gap_mask << shift;
    }

    GPU_FUNCTION u32 sum_of_gaps() const {
        if constexpr (gap_bits == 4) {
            // Nibbles side by side in bytes, whose sum stays below 256.
            u32 bytes = 0;
#pragma unroll
            for (int word = 0; word < gap_words; word++) {
                bytes += (words[word] & 0x0f0f0f0fu) + (words[word] >> 4 & 0x0f0f0f0fu);
            }
            return bytes * 0x01010101u >> 24;
        } else {
            u32 sum = 0;
#pragma unroll
            for (int index = 0; index < lane_values; index++) sum += gap(index, 0);
            return sum;
        }
    }

    // Puts the loaded group into the ring and loads the next.
    GPU_FUNCTION void scatter_group() {
        const u32 sum = sum_of_gaps();
        u32 end = sum;
#pragma unroll
        for (u32 distance = 1; distance < warp_lanes; distance *= 2) {
            const u32 before = shuffle_up(end, distance);
            if (lane() >= distance) end += before;
        }
        const u32 first = position + (end - sum) + gap(0, 0);
        position += shuffle(end, warp_lanes - 1);
        // A lane's run stays in one strip: bits 7 ..< 17 count its places, bits 21 ... are the strip's address / 2048.
        u32 cursor = (ring << 10) + (first % ring_places / strip_places << 21) + (first % strip_places << 7);
#pragma unroll
        for (int index = 0; index < lane_values; index++) {
            if (index > 0) cursor += gap(index, 7);
            // The line from the places' low four bits, the column from the others.
            const Shared address = select_bits(cursor, cursor >> 10, 0x781);
            const u32 values = words[gap_words + index / 2];
            store_shared(address, static_cast<u16>(index % 2 == 0 ? values : values >> 16));
        }
        groups_left -= 1;
        if (groups_left > 0) load_group();
    }

    GPU_FUNCTION void expand(u32, u32 (&fragments)[4][4]) {
        if (segment_steps_left == 0) begin_segment();
        segment_steps_left -= 1;
        // Elements before `position` + 1 are all there.
        while (groups_left > 0 && position + 1 < reached + strip_places) scatter_group();
        warp_barrier();
        const Shared strip = ring + reached % ring_places * 2 + lane() * 16;
#pragma unroll
        for (int tile = 0; tile < 4; tile++) load_matrices(fragments[tile], strip + tile * 512);
        // All lanes have read what is cleared now.
        warp_barrier();
#pragma unroll
        for (int tile = 0; tile < 4; tile++) store_shared(strip + tile * 512, Words4{0, 0, 0, 0});
        warp_barrier();
        reached += strip_places;
    }
};

}  // namespace

#define KERNEL(bits, words, type, Element, tokens) \
    GPU_PRODUCT_KERNEL(spmm_gap_stream_##bits##_##type##_##tokens, tokens) { \
        multiply<GapStream<bits, words>, Element, tokens>(parameters); \
    }
#define KERNELS_OF_ELEMENT(type, Element, tokens) \
    KERNEL(3, 2, type, Element, tokens)           \
    KERNEL(4, 2, type, Element, tokens)           \
    KERNEL(5, 1, type, Element, tokens)           \
    KERNEL(8, 1, type, Element, tokens)
#define KERNELS(tokens)                  \
    KERNELS_OF_ELEMENT(f16, F16, tokens) \
    KERNELS_OF_ELEMENT(bf16, BF16, tokens)

GPU_PRODUCT_INSTANCES
