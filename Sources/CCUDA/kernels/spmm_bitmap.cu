// Weights as a bitmap in the order of tensor-core fragments, with packed values.
//
// A strip is 16 rows x 64 columns: the fragments of four tensor-core instructions, 32 elements for each of 32 lanes.
// Its 1,024 places are eight rounds of 32 lanes by four elements. Bit i of word w of a strip's 32 words stands for
// place 32 * w + i; the values of the set bits lie behind each other. So a lane's four bits are side by side, as their
// values are, and lanes that are neighbours have values that are neighbours: hardly any conflicts of banks.
//
// weights[0]: strip by strip the bitmap, 128 bytes, and the values, u16, padded to a multiple of 16 bytes
// weights[1]: u32 [panels * strips + 2]: where each strip begins, in units of 16 bytes; the end twice
#include "product.cuh"

using namespace gpu;

namespace {

struct Bitmap {
    static constexpr int panels = 1;
    static constexpr int stages = FLASH_GPU_STAGES;
    static constexpr bool by_rows = true;
    static constexpr bool is_shared = false;
    static constexpr int chunk_bytes = FLASH_GPU_CHUNK_BYTES;
    static constexpr u32 warp_bytes = FLASH_GPU_BITMAP_WARP_BYTES;
    static constexpr u32 strip_bytes = FLASH_GPU_BITMAP_BYTES + 2 * FLASH_GPU_PANEL_ROWS * FLASH_GPU_STEP_COLUMNS;
    static constexpr u32 turn_bytes = 16 * warp_lanes;  // that a warp copies with one instruction
    static_assert(warp_bytes == stages * strip_bytes + warp_lanes * 8);

    const u8 *next;    // this lane's first 16 bytes of the next strip
    const u32 *ends;   // where the strip after the next one ends
    u32 begin, end;    // of the next strip
    Shared shared;

    GPU_FUNCTION Bitmap(const flash_gpu_product &product, const Work &work, const Piece &piece, u32 panel, Shared own) {
        const u64 strip = u64(panel) * work.all_steps + piece.first_step;
        ends = reinterpret_cast<const u32 *>(product.weights[1]) + strip + 2;
        begin = load(ends - 2);
        end = load(ends - 1);
        next = reinterpret_cast<const u8 *>(product.weights[0]) + u64(begin) * 16 + lane() * 16;
        shared = own;
    }

    GPU_FUNCTION void start(const Piece &) {}

    GPU_FUNCTION void fetch(u32 stage) {
        const u32 count = end - begin;
        const Shared to = shared + stage * strip_bytes + lane() * 16;
        const auto copy = [&](u32 turn) {
            if (turn * warp_lanes + lane() < count) copy_async_16(to + turn * turn_bytes, next + turn * turn_bytes);
        };
        copy(0);
        copy(1);
        copy(2);
        // Only where fewer than three of ten are zeros.
        if (count > 3 * warp_lanes) {
            copy(3);
            copy(4);
        }
        next += count * 16;
        begin = end;
        // Asked for a step before it is needed.
        end = load(ends);
        ends += 1;
    }

    GPU_FUNCTION void prepare(u32 stage) {
        const Shared strip = shared + stage * strip_bytes;
        const u32 word = load_shared<u32>(strip + lane() * 4);
        // Values up to the end of each word: lane w has word w.
        const u32 count = popcount(word);
        u32 sum = count;
#pragma unroll
        for (u32 distance = 1; distance < warp_lanes; distance *= 2) sum = add_from_below(sum, distance);
        // By a table, which costs one load for each round where two shuffles were four instructions.
        store_shared(table() + lane() * 8, Words2{word, strip + FLASH_GPU_BITMAP_BYTES + 2 * (sum - count)});
        warp_barrier();
    }

    GPU_FUNCTION void take(u32, int, int half, u32 (&fragments)[2][4]) {
        const u32 place = lane() % 8 * 4;
        const Shared own = table() + lane() / 8 * 8;
#pragma unroll
        for (int round = 0; round < 4; round++) {
            const Words2 entry = load_shared<Words2>(own + (4 * half + round) * 32);
            const u32 bits = entry.x >> place;
            Shared address = entry.y + 2 * popcount(entry.x & ((1u << place) - 1));
            u32 values[4];
#pragma unroll
            for (int index = 0; index < 4; index++) {
                values[index] = 0;
                if (bits & 1u << index) {
                    values[index] = load_shared<u16>(address);
                    address += 2;
                }
            }
            fragments[round / 2][round % 2 * 2] = byte_permute(values[0], values[1], 0x5410);
            fragments[round / 2][round % 2 * 2 + 1] = byte_permute(values[2], values[3], 0x5410);
        }
    }

    GPU_FUNCTION void release(u32) {}

private:
    // [32] of a word of the bitmap, and where the values of its bits begin. Written and read by this warp, in one step.
    GPU_FUNCTION Shared table() const { return shared + stages * strip_bytes; }
};

}  // namespace

#define KERNEL(type, Element, tokens) \
    GPU_PRODUCT_KERNEL(spmm_bitmap_##type##_##tokens, tokens > 16 ? 2 : 3) { \
        multiply<Bitmap, Element, tokens>(parameters); \
    }
#define KERNELS(tokens) KERNEL(f16, F16, tokens) KERNEL(bf16, BF16, tokens)
#define EXPANSION \
    GPU_EXPANSION_KERNEL(expand_bitmap) { expand<Bitmap>(parameters); }

GPU_PRODUCT_INSTANCES
