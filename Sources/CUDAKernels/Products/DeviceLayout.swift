import CCUDA

/// How a weight matrix lies in a GPU's memory: each has one kernel file.
///
/// Bytes per weight at density d; docs/benchmarks/gpu.md says what kernels make of them:
///
///     dense       2
///     tiledCSL    4 d
///     bitmap      2 d + 0.13
///     laneStream  3.0 d to 3.8 d
public enum DeviceLayout: String, Sendable, CaseIterable {
    case dense
    case tiledCSL = "tiled-csl"
    case bitmap
    case laneStream = "lane-stream"

    /// The file of its kernels.
    var file: String {
        switch self {
        case .dense: "spmm_dense.cu"
        case .tiledCSL: "spmm_tiled_csl.cu"
        case .bitmap: "spmm_bitmap.cu"
        case .laneStream: "spmm_lane_stream.cu"
        }
    }

    /// The kernel that makes the dense matrix of it.
    var expansionName: String { "expand_" + file.dropFirst("spmm_".count).dropLast(".cu".count) }

    /// Shared memory of each warp for its weights.
    var warpBytes: Int {
        switch self {
        case .dense: FLASH_GPU_DENSE_WARP_BYTES
        case .tiledCSL: FLASH_GPU_TILED_CSL_WARP_BYTES
        case .bitmap: FLASH_GPU_BITMAP_WARP_BYTES
        case .laneStream: FLASH_GPU_LANE_STREAM_WARP_BYTES
        }
    }

    /// Panels of 16 rows that a warp has.
    var panels: Int { self == .laneStream ? FLASH_GPU_LANE_STREAM_PANELS : 1 }

    /// Rows of a block.
    var blockRows: Int { FLASH_GPU_BLOCK_THREADS / 32 * FLASH_GPU_PANEL_ROWS * panels }

    /// A chunk of activations in shared memory, about.
    var chunkBytes: Int { self == .laneStream ? FLASH_GPU_LANE_STREAM_CHUNK_BYTES : FLASH_GPU_CHUNK_BYTES }
}
