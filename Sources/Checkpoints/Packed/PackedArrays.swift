import Sparse
import Tensors

/// The arrays that each packed format is stored as: one tensor each, called after the matrix.
enum PackedArrays {
    static let masks = ".masks"
    static let values = ".values"
    static let panelOffsets = ".panel_offsets"
    static let deltas = ".deltas"
    static let sliceOffsets = ".slice_offsets"
    static let laneRows = ".lane_rows"
    static let words = ".words"
    static let tileOffsets = ".tile_offsets"

    /// Suffixes of the tensors that hold a matrix; a dense one is a tensor of its own name.
    static func suffixes(of format: PackedFormat) -> [String] {
        switch format {
        case .dense: [""]
        case .tiledBitmap: [masks, values, panelOffsets]
        case .slicedEllpack: [deltas, values, sliceOffsets, laneRows]
        case .tiledCSL: [words, tileOffsets]
        }
    }
}
