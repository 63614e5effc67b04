// Weights as a bitmap in the order of tensor-core fragments, and each lane's nonzeros as a stream of its own.
//
// A warp's band is two panels. Half a step of it, 32 columns, is 32 elements for each of 32 lanes: four fragments of
// four registers, each a pair of elements. A word of the bitmap says which of a lane's 32 are stored; the values of
// those follow each other in the lane's stream. A group is eight values of each lane.
//
// A lane has a window of its stream in shared memory: rows of 32 lanes, row r the pair of its values r - 1 and r. If n
// elements are stored up to and with a pair's first one, row n has the pair's values in their places, be both stored or
// one. So a register takes one load, and one mask for its halves: six instructions for two weights, nearly none of
// which waits for another. A row is on all banks, each lane on its own, and no lane reads what another has written.
//
// A lane with more values than others needs groups sooner. The host sees to it that the others are never further
// behind than a window has rows: it stores zeros for them (Sources/Sparse/Fragments/LaneBitmap+Encoding.swift).
//
// weights[0]: the groups, u32 [groups, 32, 4]: eight values for each lane
// weights[1]: band by band: u32 [runs, 32], how many values each lane has before a run of eight steps; u32 [steps, 32,
//             2], bits of the two halves of each step. Byte r of a word is for register r; in it, two bits for each
//             fragment from the highest on: of panel 0, columns 0-15 and 16-31, and of panel 1
// weights[2]: u32 [bands * steps + 1]: the group that comes after those that the steps before need
#include "product.cuh"

using namespace gpu;

namespace {

// `slots`: groups that are on their way to shared memory.
template <int slots>
struct LaneBitmap {
    static constexpr int panels = FLASH_GPU_LANE_BITMAP_PANELS;
    static constexpr int stages = FLASH_GPU_STAGES;
    static constexpr bool by_rows = true;
    static constexpr bool is_shared = false;
    static constexpr int chunk_bytes = FLASH_GPU_CHUNK_BYTES;
    static constexpr u32 warps = FLASH_GPU_BLOCK_THREADS / warp_lanes;
    static constexpr u32 warp_bytes = FLASH_GPU_LANE_BITMAP_BLOCK_BYTES(slots) / warps;
    static constexpr u32 run_steps = FLASH_GPU_LANE_BITMAP_RUN_STEPS;
    static constexpr u32 step_bytes = FLASH_GPU_LANE_BITMAP_STEP_BYTES;
    static constexpr u32 group_values = 8;
    static constexpr u32 group_bytes = 2 * group_values * warp_lanes;
    // Two warps share a row of 256 bytes, so that the second byte of an address is the row's number.
    static constexpr u32 rows = FLASH_GPU_LANE_BITMAP_ROWS;
    static constexpr u32 row_bytes = 256;
    static constexpr u32 window_bytes = rows * row_bytes;
    static_assert(rows == 64 && window_bytes == FLASH_GPU_LANE_BITMAP_ALIGNMENT);

    const Words4 *next_group;  // of this lane, the next one to copy
    const Words4 *next_bits;   // of lanes 0 ... 15, the next step's to copy
    u32 groups_left, bits_left, steps_left;
    Shared bits_stages;        // of this lane, and
    Shared group_slots;
    u32 slot;                  // of the next group to store
    u32 taken, taken_before;   // groups copied since the last commit, and before it since the one before
    u32 stored;                // values that each lane has had since the band's begin
    u32 last;                  // two of them, the last ones
    Shared window;             // this lane's place in row 0
    u32 window_byte;           // the second byte of its address, four times
    u32 position;              // values of this lane before what is loaded next
    Words2 bits, bits_ahead;   // of the step, and of the next one
    // By halves: the bits of a half, and the rows of its pairs.
    u32 words[2];
    u32 pairs[2][4 * panels * 2];

    GPU_FUNCTION LaneBitmap(
        const flash_gpu_product &product, const Work &work, const Piece &piece, u32 band, Shared own) {
        const Shared block = own - warp() * warp_bytes;
        bits_stages = keep(block + warp() * (stages * step_bytes) + lane() * 8);
        const Shared all_slots = block + warps * stages * step_bytes;
        group_slots = keep(all_slots + warp() * (slots * group_bytes) + lane() * 16);
        const Shared slots_end = all_slots + warps * slots * group_bytes;
        const Shared windows = (slots_end + window_bytes - 1) / window_bytes * window_bytes;
        window = keep(windows + warp() / 2 * window_bytes + warp() % 2 * (row_bytes / 2) + lane() * 4);
        window_byte = byte_permute(window, 0, 0x1111);

        const u32 runs = (work.all_steps + run_steps - 1) / run_steps;
        const u32 *band_bits = reinterpret_cast<const u32 *>(product.weights[1])
            + u64(band) * (runs * warp_lanes + work.all_steps * (step_bytes / 4));
        const u32 *step_bits = band_bits + runs * warp_lanes + u64(piece.first_step) * (step_bytes / 4);
        position = load(band_bits + piece.first_step / run_steps * warp_lanes + lane());
        const u32 *first_groups = reinterpret_cast<const u32 *>(product.weights[2]) + u64(band) * work.all_steps;
        const u32 band_group = load(first_groups);
        const u32 end_group = load(first_groups + piece.first_step + piece.steps);
        bits = load(reinterpret_cast<const Words2 *>(step_bits) + lane());
        position += count_before(step_bits, piece.first_step % run_steps);

        steps_left = piece.steps;
        bits_left = piece.steps - 1;
        next_bits = reinterpret_cast<const Words4 *>(step_bits + step_bytes / 4) + lane();
        const u32 first_group = warp_minimum(position) / group_values;
        groups_left = end_group - band_group - first_group;
        next_group = reinterpret_cast<const Words4 *>(product.weights[0])
            + u64(band_group + first_group) * warp_lanes + lane();
        stored = first_group * group_values;
        last = 0;
        slot = taken = taken_before = 0;
#pragma unroll
        for (u32 index = 0; index < slots; index++) copy_group(index);
    }

    GPU_FUNCTION void start(const Piece &) {
        copy_async_wait<0>();
        load_half(0, bits.x);
    }

    GPU_FUNCTION void fetch(u32 stage) {
        if (bits_left == 0) return;
        bits_left -= 1;
        if (lane() < step_bytes / 16) copy_async_16(bits_stages + stage * step_bytes + lane() * 8, next_bits);
        next_bits += step_bytes / 16;
    }

    // One step ahead: the first one's bits came with the rest that a piece begins with.
    GPU_FUNCTION void prepare(u32 stage) {
        steps_left -= 1;
        if (steps_left > 0) bits_ahead = load_shared<Words2>(bits_stages + stage * step_bytes);
    }

    GPU_FUNCTION void take(u32, int panel, int half, u32 (&fragments)[2][4]) {
        if (panel == 0 && half == 1) {
            load_half(1, bits.y);
            // Each half has a group of copies: this one, and the next half with the copies of the next step.
            copy_async_commit();
        }
#pragma unroll
        for (int index = 0; index < 2; index++) {
            const int fragment = 2 * panel + index;
#pragma unroll
            for (int place = 0; place < 4; place++) {
                // The pair's two bits are the signs of this register's byte in two words.
                const u32 mask = byte_permute(
                    words[half] << 2 * fragment, words[half] << (2 * fragment + 1), 0xCC88 | place * 0x1111);
                fragments[index][place] = pairs[half][4 * fragment + place] & mask;
            }
        }
    }

    GPU_FUNCTION void release(u32) {
        if (steps_left == 0) return;
        bits = bits_ahead;
        load_half(0, bits.x);
    }

private:
    // How many values this lane has in the `steps` steps before `step_bits`, fewer than a run.
    GPU_FUNCTION static u32 count_before(const u32 *step_bits, u32 steps) {
        // All at once: one by one each would take the time that an access takes.
        Words2 before[run_steps - 1];
#pragma unroll
        for (u32 index = 0; index < run_steps - 1; index++) {
            before[index] = {0, 0};
            if (index >= steps) continue;
            before[index] = load(reinterpret_cast<const Words2 *>(step_bits - (index + 1) * (step_bytes / 4)) + lane());
        }
        u32 count = 0;
#pragma unroll
        for (u32 index = 0; index < run_steps - 1; index++) {
            count += popcount(before[index].x) + popcount(before[index].y);
        }
        return count;
    }

    // Stores the groups that a half needs, and loads the rows of its pairs.
    GPU_FUNCTION void load_half(int half, u32 word) {
        words[half] = word;
        const u32 end = position + popcount(word);
        // A row has the value after the last one, too.
        store_groups(warp_maximum(end) + 1);
        // In the order of the stream, by fragments and in them by bytes: first elements of pairs, and second ones of
        // the pairs before them.
        const u32 counts = (word >> 1 & 0x55555555) + ((word & 0x55555555) << 8);
        const u32 first_row = position % rows;
#pragma unroll
        for (int fragment = 0; fragment < 2 * panels; fragment++) {
            // A byte's bits of the fragments before this one.
            const u32 earlier = (0xFF00 >> 2 * fragment & 0xFF) * 0x01010101u;
            const u32 before = fragment == 0 ? 0 : popcount(word & earlier);
            const u32 own = (counts >> (6 - 2 * fragment) & 0x03030303) + before + first_row;
            // Sums of the bytes up to each one, which are at most 63 + 32: they stay bytes.
            const u32 pair_rows = (own * 0x01010101u & 0x3F3F3F3F) | window_byte;
#pragma unroll
            for (int place = 0; place < 4; place++) {
                pairs[half][4 * fragment + place] =
                    load_shared<u32>(byte_permute(pair_rows, window, 0x7604 | place << 4));
            }
        }
        position = end;
    }

    // Stores groups until each lane has had `count` values.
    GPU_FUNCTION void store_groups(u32 count) {
        // What was copied before the last commit has landed.
        copy_async_wait<1>();
        while (stored < count) {
            if (taken + taken_before == slots) wait_for_slot();
            store(load_shared<Words4>(group_slots + slot * group_bytes));
            copy_group(slot);
            slot = (slot + 1) % slots;
            taken += 1;
        }
        taken_before = taken;
        taken = 0;
    }

    // The next group was copied after the commit before the last one.
    GPU_FUNCTION void wait_for_slot() {
        if (taken_before == 0) {
            copy_async_commit();
            taken = 0;
        }
        copy_async_wait<0>();
        taken_before = 0;
    }

    GPU_FUNCTION void copy_group(u32 to) {
        if (groups_left == 0) return;
        groups_left -= 1;
        copy_async_16(group_slots + to * group_bytes, next_group);
        next_group += warp_lanes;
    }

    GPU_FUNCTION void store(const Words4 &group) {
        const Shared to = window + stored % rows * row_bytes;
        store_shared(to, byte_permute(last, group.x, 0x5432));
        store_shared(to + row_bytes, group.x);
        store_shared(to + 2 * row_bytes, byte_permute(group.x, group.y, 0x5432));
        store_shared(to + 3 * row_bytes, group.y);
        store_shared(to + 4 * row_bytes, byte_permute(group.y, group.z, 0x5432));
        store_shared(to + 5 * row_bytes, group.z);
        store_shared(to + 6 * row_bytes, byte_permute(group.z, group.w, 0x5432));
        store_shared(to + 7 * row_bytes, group.w);
        last = group.w;
        stored += group_values;
    }
};

}  // namespace

#define SLOTS_KERNEL(name, slots, type, Element, tokens, slices) \
    GPU_PRODUCT_KERNEL(name##_##type##_##tokens##_##slices, GPU_LARGE_BLOCKS(tokens)) { \
        multiply<LaneBitmap<slots>, Element, tokens, slices>(parameters); \
    }
#define KERNEL(type, Element, tokens, slices) \
    SLOTS_KERNEL(spmm_lane_bitmap, FLASH_GPU_LANE_BITMAP_SLOTS, type, Element, tokens, slices)
// For GPUs whose multiprocessors have less shared memory.
#define SMALL_KERNEL(type, Element, tokens, slices) \
    SLOTS_KERNEL(spmm_lane_bitmap_small, FLASH_GPU_LANE_BITMAP_SMALL_SLOTS, type, Element, tokens, slices)
#define KERNELS(tokens, slices) \
    KERNEL(f16, F16, tokens, slices) KERNEL(bf16, BF16, tokens, slices) \
    SMALL_KERNEL(f16, F16, tokens, slices) SMALL_KERNEL(bf16, BF16, tokens, slices)
#define SLICED KERNELS(8, 2) KERNELS(8, 4) KERNELS(16, 2)
#define EXPANSION \
    GPU_EXPANSION_KERNEL(expand_lane_bitmap) { expand<LaneBitmap<FLASH_GPU_LANE_BITMAP_SMALL_SLOTS>>(parameters); }

GPU_PRODUCT_INSTANCES
