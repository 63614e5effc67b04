import CCUDA

/// How a weight matrix lies in a GPU's memory: each has one kernel file.
///
/// Bytes per weight at density d; docs/benchmarks/gpu.md says what kernels make of them:
///
///     dense       2
///     tiledCSL    4 d
///     laneBitmap  2.1 d + 0.13
///     laneStream  3.0 d to 3.8 d
public enum DeviceLayout: String, Sendable, CaseIterable {
    case dense
    case tiledCSL = "tiled-csl"
    case laneBitmap = "lane-bitmap"
    case laneStream = "lane-stream"

    /// The file of its kernels.
    var file: String {
        switch self {
        case .dense: "spmm_dense.cu"
        case .tiledCSL: "spmm_tiled_csl.cu"
        case .laneBitmap: "spmm_lane_bitmap.cu"
        case .laneStream: "spmm_lane_stream.cu"
        }
    }

    /// The kernel that makes the dense matrix of it.
    var expansionName: String { "expand_" + file.dropFirst("spmm_".count).dropLast(".cu".count) }

    /// Shared memory of a block for its weights.
    /// - Parameter isSmall: as little as the layout's kernels can do with, if they can do with less.
    func blockBytes(isSmall: Bool) -> Int {
        let warps = FLASH_GPU_BLOCK_THREADS / 32
        return switch self {
        case .dense: warps * FLASH_GPU_DENSE_WARP_BYTES
        case .tiledCSL: warps * FLASH_GPU_TILED_CSL_WARP_BYTES
        case .laneBitmap:
            Int(
                flash_gpu_lane_bitmap_block_bytes(
                    Int32(isSmall ? FLASH_GPU_LANE_BITMAP_SMALL_SLOTS : FLASH_GPU_LANE_BITMAP_SLOTS)))
        case .laneStream: warps * FLASH_GPU_LANE_STREAM_WARP_BYTES
        }
    }

    /// Whether there are kernels that make do with less shared memory.
    var hasSmallKernels: Bool { self == .laneBitmap }

    /// Whether there are kernels whose warps cut columns into slices. All warps expand a tile of Tiled-CSL together.
    var hasSlices: Bool { self != .tiledCSL }

    /// Panels of 16 rows that a warp has.
    var panels: Int {
        switch self {
        case .dense, .tiledCSL: 1
        case .laneBitmap: FLASH_GPU_LANE_BITMAP_PANELS
        case .laneStream: FLASH_GPU_LANE_STREAM_PANELS
        }
    }

    /// Rows of a block without slices.
    var blockRows: Int { FLASH_GPU_BLOCK_THREADS / 32 * FLASH_GPU_PANEL_ROWS * panels }

    /// A chunk of activations in shared memory, about.
    var chunkBytes: Int { self == .laneStream ? FLASH_GPU_LANE_STREAM_CHUNK_BYTES : FLASH_GPU_CHUNK_BYTES }
}
