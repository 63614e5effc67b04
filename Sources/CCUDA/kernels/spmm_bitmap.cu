// Weights as a bitmap in the order of tensor-core fragments, with packed values.
//
// A strip is 16 rows x 64 columns: four tiles of 16 x 16, each four matrices of 8 x 8 in the order of a fragment's
// words (rows 0-7 and 8-15 of columns 0-7, then of columns 8-15), each matrix row by row. Bit i of word w of a strip's
// 32 words stands for place 32 * w + i in this order; the values of the set bits lie behind each other. So a fragment's
// word, two neighbours in a row for each lane, is 64 places: two words of the bitmap, one for each half of the warp,
// and the lanes' values are neighbours in memory, too: no bank conflicts.
//
// weights[0]: the bitmaps, u32 [panels, strips, 32]
// weights[1]: the values, u16, each strip's padded to a multiple of 8
// weights[2]: u32 [panels * strips + 1]: where each strip's values begin, in units of 8
#include "product.cuh"

using namespace gpu;

namespace {

struct Bitmap {
    static constexpr u32 strip_values = 1024;
    static constexpr u32 stage_bytes = 2 * strip_values;
    static constexpr bool is_shared = false;
    static constexpr u32 warp_bytes = FLASH_GPU_BITMAP_WARP_BYTES;
    static_assert(warp_bytes == stages * stage_bytes + warp_lanes * 8);

    const u32 *bitmaps;  // of this lane
    const u16 *values;
    const u32 *offsets;
    u32 begin;  // of the next strip's values
    Shared shared;
    u32 words[stages];  // of the strips that are under way

    GPU_FUNCTION Bitmap(const flash_gpu_product &product, u32 panel, Shared own) {
        const u32 strips = (product.columns + FLASH_GPU_STEP_COLUMNS - 1) / FLASH_GPU_STEP_COLUMNS;
        const u64 strip = u64(panel) * strips + block_z() * product.slice_steps;
        bitmaps = reinterpret_cast<const u32 *>(product.weights[0]) + strip * warp_lanes + lane();
        values = reinterpret_cast<const u16 *>(product.weights[1]);
        offsets = reinterpret_cast<const u32 *>(product.weights[2]) + strip;
        begin = load(offsets);
        shared = own;
    }

    // The values by asynchronous copies of 16 bytes, the lane's word of the bitmap into a register.
    GPU_FUNCTION void fetch(u32 stage) {
        offsets += 1;
        const u32 end = load(offsets);
        const u32 count = end - begin;
        const u16 *from = values + u64(begin) * 8;
        begin = end;
        for (u32 chunk = lane(); chunk < count; chunk += warp_lanes) {
            copy_async_16(shared + stage * stage_bytes + chunk * 16, from + chunk * 8);
        }
        const u32 word = load_streaming(bitmaps);
        bitmaps += warp_lanes;
#pragma unroll
        for (int index = 0; index < stages; index++) {
            if (u32(index) == stage) words[index] = word;
        }
    }

    GPU_FUNCTION void expand(u32 stage, u32 (&fragments)[4][4]) {
        u32 word = 0;
#pragma unroll
        for (int index = 0; index < stages; index++) {
            if (u32(index) == stage) word = words[index];
        }
        // Values before each word: lane w has word w.
        const u32 count = popcount(word);
        u32 before = count;
#pragma unroll
        for (u32 distance = 1; distance < warp_lanes; distance *= 2) {
            const u32 lower = shuffle_up(before, distance);
            if (lane() >= distance) before += lower;
        }
        before -= count;
        // By a table, which costs one load for each pair where two shuffles were four instructions.
        store_shared(table() + lane() * 8, Words2{word, shared + stage * stage_bytes + 2 * before});
        warp_barrier();
        const u32 place = lane() % 16 * 2;
        const u32 first_bit = 1u << place, second_bit = 2u << place;
        const Shared own_half = table() + lane() / 16 * 8;
#pragma unroll
        for (int index = 0; index < 16; index++) {
            const Words2 entry = load_shared<Words2>(own_half + index * 16);
            Shared address = entry.y + 2 * popcount(entry.x & (first_bit - 1));
            u32 low = 0, high = 0;
            if (entry.x & first_bit) {
                low = load_shared<u16>(address);
                address += 2;
            }
            if (entry.x & second_bit) high = load_shared<u16>(address);
            fragments[index / 4][index % 4] = byte_permute(low, high, 0x5410);
        }
    }

private:
    // [32] of a word of the bitmap, and where the values of its bits begin. Written and read by this warp, in one step.
    GPU_FUNCTION Shared table() const { return shared + stages * stage_bytes; }
};

}  // namespace

#define KERNEL(type, Element, tokens) \
    GPU_PRODUCT_KERNEL(spmm_bitmap_##type##_##tokens, tokens) { \
        multiply<Bitmap, Element, tokens>(parameters); \
    }
#define KERNELS(tokens) KERNEL(f16, F16, tokens) KERNEL(bf16, BF16, tokens)

GPU_PRODUCT_INSTANCES
