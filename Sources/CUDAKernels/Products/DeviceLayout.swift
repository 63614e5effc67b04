import CCUDA

/// How a weight matrix lies in a GPU's memory: each has one kernel file.
///
/// Bytes per weight at density d, and lane instructions for one, all in all, counted in the code (an H100 moves 15
/// bytes and issues 128 lane instructions a clock and multiprocessor; docs/benchmarks/gpu.md):
///
///     dense      2                     4
///     tiledCSL   4 d                   9 at half density
///     bitmap     2 d + 0.13            11 at half density
///     gapStream  2.5 d to 3.1 d        3.6 + 10 d to 3.6 + 17 d
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
