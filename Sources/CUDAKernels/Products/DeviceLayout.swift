import CCUDA

/// How a weight matrix lies in a GPU's memory: each has one kernel file.
///
/// Bytes per weight at density d, and lane instructions to expand one (an H100 moves 15 bytes and issues 128 lane
/// instructions a clock and multiprocessor):
///
///     dense      2                     none
///     tiledCSL   4 d                   2.5 d + 0.4
///     bitmap     2 d + 0.13            7
///     gapStream  2.5 d to 3 d          9 d + 0.3
public enum DeviceLayout: String, Sendable, CaseIterable {
    case dense
    case tiledCSL = "tiled-csl"
    case bitmap
    case gapStream = "gap-stream"

    /// The file of its kernels.
    var file: String {
        switch self {
        case .dense: "spmm_dense.cu"
        case .tiledCSL: "spmm_tiled_csl.cu"
        case .bitmap: "spmm_bitmap.cu"
        case .gapStream: "spmm_gap_stream.cu"
        }
    }

    /// Shared memory of each warp for its weights.
    var warpBytes: Int {
        switch self {
        case .dense: FLASH_GPU_DENSE_WARP_BYTES
        case .tiledCSL: FLASH_GPU_TILED_CSL_WARP_BYTES
        case .bitmap: FLASH_GPU_BITMAP_WARP_BYTES
        case .gapStream: FLASH_GPU_GAP_STREAM_WARP_BYTES
        }
    }
}
