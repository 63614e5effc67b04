// Weights as streams of nonzeros, one for each lane of a warp: a value, and the address that it goes to.
//
// A warp's band is two panels. A strip of it, 16 rows x 64 columns of one panel, is the fragments of four tensor-core
// instructions: 32 elements for each of 32 lanes, its region, 64 bytes. A ring in shared memory has room for four
// strips. The lane that fills a region has 256 bytes of the ring, so a byte is enough to say where a nonzero goes: it
// is the low byte of the address. A nonzero costs two and a half instructions: a byte permutation puts that byte into
// the address, a store, and for every other one a shift that brings the value down.
//
// All lanes store as many nonzeros: a group is eight for each. Some regions have more nonzeros than others, so regions
// move from strip to strip: the host chooses how far, such that all lanes have as much to do in the long run. It also
// orders a lane's nonzeros such that the 32 addresses of a store are on different banks, as far as it can. Both:
// Sources/Sparse/Fragments/LaneStream+Encoding.swift.
//
// weights[0]: the groups, u32 [groups, 3, 32, 2]: rows of 32 lanes: four values each, four more, and eight positions
// weights[1]: u16 [bands, steps]: for the strips of both panels, 5 bits: what to add to a lane's number to find who
//             fills its region, and 3 bits: the low and high ones of the number of groups to store before the step
// weights[2]: u32 [bands * steps + 1]: the first group of each step
#include "product.cuh"

using namespace gpu;

namespace {

// What a lane stores of a group.
struct Group {
    Words2 low_values, high_values, positions;
};

struct LaneStream {
    static constexpr int panels = FLASH_GPU_LANE_STREAM_PANELS;
    static constexpr int stages = FLASH_GPU_STAGES;
    static constexpr bool by_rows = true;
    static constexpr bool is_shared = false;
    static constexpr int chunk_bytes = FLASH_GPU_LANE_STREAM_CHUNK_BYTES;
    static constexpr u32 warp_bytes = FLASH_GPU_LANE_STREAM_WARP_BYTES;
    static constexpr u32 lane_bytes = FLASH_GPU_RING_LANE_BYTES;
    static constexpr u32 strip_lane_bytes = 64;
    static constexpr u32 row_vectors = warp_lanes;  // of 8 bytes
    static constexpr u32 group_vectors = 3 * row_vectors;
    static constexpr u32 line_vectors = 16;
    // Groups that are brought to the second-level cache before they are loaded: 3 KB for each warp are on the way from
    // memory, while registers hold the two that are stored next.
    static constexpr u32 ahead = 4;
    static_assert(lane_bytes == 256, "a position is a byte of an address");

    const Words2 *next;     // of this lane in the next group that is not yet loaded
    const Words2 *line;     // of lanes 0 ... 5: a line of the group `ahead` groups later
    u32 groups_left;        // to load
    Group first, second;    // the next ones to store
    bool is_second;         // whether the second one is before the first
    // What weights[1] says of 32 steps, of lane l those of step l, and of the 32 after them.
    const u16 *next_steps;
    u32 steps_left;         // of the piece, from this lane's next one on
    u32 steps, steps_ahead;
    u32 steps_known;        // steps that `steps` still tells of
    u32 strip;              // the step's first one, in the ring
    Shared ring;
    Shared regions[panels]; // what this lane reads of the ring in this step

    GPU_FUNCTION LaneStream(
        const flash_gpu_product &product, const Work &work, const Piece &piece, u32 band, Shared shared) {
        // What lanes have stored of the piece's first strips before them is in the groups of the step before.
        const u32 early = piece.first_step > 0 ? 1 : 0;
        const u64 step = u64(band) * work.all_steps + piece.first_step - early;
        const u32 *first_groups = reinterpret_cast<const u32 *>(product.weights[2]) + step;
        const u32 begin = gpu::load(first_groups);
        groups_left = gpu::load(first_groups + early + piece.steps) - begin;
        next_steps = reinterpret_cast<const u16 *>(product.weights[1]) + step + lane();
        steps_left = early + piece.steps - lane();
        steps_known = 0;
        load_steps();
        const Words2 *group = reinterpret_cast<const Words2 *>(product.weights[0]) + u64(begin) * group_vectors;
        next = group + lane();
        line = group + ahead * group_vectors + lane() * line_vectors;
        strip = (piece.first_step - early) * panels % FLASH_GPU_RING_STRIPS;
        ring = shared;
        for (u32 offset = 0; offset < warp_bytes; offset += 16 * warp_lanes) {
            store_shared(ring + offset + lane() * 16, Words4{0, 0, 0, 0});
        }
        is_second = false;
        load(first);
        load(second);
        for (u32 index = 2; index < ahead && index - 2 < groups_left; index++) {
            if (lane() < group_vectors / line_vectors) {
                prefetch(group + index * group_vectors + lane() * line_vectors);
            }
        }
    }

    // Goes through the step before the piece, whose sums are other blocks' matter.
    GPU_FUNCTION void start(const Piece &piece) {
        // All lanes have cleared their part of the ring.
        warp_barrier();
        if (piece.first_step == 0) return;
        prepare(0);
#pragma unroll
        for (int index = 0; index < 2 * panels; index++) {
            u32 fragments[2][4];
            take(0, index % panels, index / panels, fragments);
        }
        release(0);
    }

    GPU_FUNCTION void fetch(u32) {}

    GPU_FUNCTION void prepare(u32) {
        if (steps_known == 0) {
            steps = steps_ahead;
            steps_known = warp_lanes;
            load_steps();
        }
        const u32 step = shuffle(steps, warp_lanes - steps_known);
        steps_known -= 1;
        u32 needed = (step >> 5 & 7) + (step >> 13) * 8;
        if (needed > 0) {
            // What was cleared is clear for all.
            warp_barrier();
            // Registers take turns: a group that moved from one to the other would be waited for.
            while (needed > 0) {
                if (!is_second) {
                    store(first);
                    load(first);
                    is_second = true;
                    needed -= 1;
                    if (needed == 0) break;
                }
                store(second);
                load(second);
                is_second = false;
                needed -= 1;
            }
            warp_barrier();
        }
#pragma unroll
        for (int panel = 0; panel < panels; panel++) {
            // Regions of one strip are on the same banks: the eight lanes of a phase exchange their quarters' places.
            const u32 filler = (lane() + (step >> 8 * panel)) % warp_lanes;
            regions[panel] = ring + filler * lane_bytes + ((strip + panel) * strip_lane_bytes ^ filler % 8 * 16);
        }
    }

    GPU_FUNCTION void take(u32, int panel, int half, u32 (&fragments)[2][4]) {
#pragma unroll
        for (int index = 0; index < 2; index++) {
            const Shared quarter = regions[panel] ^ (2 * half + index) * 16;
            const Words4 words = load_shared<Words4>(quarter);
            store_shared(quarter, Words4{0, 0, 0, 0});
            fragments[index][0] = words.x;
            fragments[index][1] = words.y;
            fragments[index][2] = words.z;
            fragments[index][3] = words.w;
        }
    }

    GPU_FUNCTION void release(u32) { strip = (strip + panels) % FLASH_GPU_RING_STRIPS; }

private:
    // One load for 32 steps: a small load for each would be waited for with those of the groups.
    GPU_FUNCTION void load_steps() {
        steps_ahead = static_cast<i32>(steps_left) > 0 ? gpu::load(next_steps) : 0;
        next_steps += warp_lanes;
        steps_left -= warp_lanes;
    }

    GPU_FUNCTION void load(Group &group) {
        if (groups_left == 0) return;
        groups_left -= 1;
        group.low_values = load_streaming(next);
        group.high_values = load_streaming(next + row_vectors);
        group.positions = load_streaming(next + 2 * row_vectors);
        next += group_vectors;
        if (groups_left >= ahead && lane() < group_vectors / line_vectors) prefetch(line);
        line += group_vectors;
    }

    GPU_FUNCTION void store(const Group &group) {
        const Shared own = ring + lane() * lane_bytes;
        store_four(own, group.low_values, group.positions.x);
        store_four(own, group.high_values, group.positions.y);
    }
    GPU_FUNCTION static void store_four(Shared own, const Words2 &values, u32 positions) {
#pragma unroll
        for (int index = 0; index < 4; index++) {
            const u32 pair = index < 2 ? values.x : values.y;
            store_shared(
                byte_permute(positions, own, 0x7650 | index), static_cast<u16>(index % 2 == 0 ? pair : pair >> 16));
        }
    }
};

}  // namespace

#define KERNEL(type, Element, tokens, slices) \
    GPU_PRODUCT_KERNEL(spmm_lane_stream_##type##_##tokens##_##slices, tokens > 8 ? GPU_LARGE_BLOCKS(tokens) : 2) { \
        multiply<LaneStream, Element, tokens, slices>(parameters); \
    }
#define KERNELS(tokens, slices) KERNEL(f16, F16, tokens, slices) KERNEL(bf16, BF16, tokens, slices)
#define SLICED KERNELS(8, 2) KERNELS(8, 4) KERNELS(16, 2) KERNELS(16, 4) KERNELS(32, 2)
#define EXPANSION \
    GPU_EXPANSION_KERNEL(expand_lane_stream) { expand<LaneStream>(parameters); }

GPU_PRODUCT_INSTANCES
