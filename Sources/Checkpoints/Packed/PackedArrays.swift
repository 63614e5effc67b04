import Sparse
import Tensors

/// The arrays that each packed format is stored as: one tensor each, called after the matrix.
enum PackedArrays {
    static let masks = ".masks"
    static let values = ".values"
    static let scales = ".scales"
    static let panelOffsets = ".panel_offsets"
    static let deltas = ".deltas"
    static let sliceOffsets = ".slice_offsets"
    static let laneRows = ".lane_rows"
    static let words = ".words"
    static let tileOffsets = ".tile_offsets"

    /// Suffixes of the tensors that hold a matrix; a dense one of plain elements is a tensor of its own name.
    static func suffixes(of matrix: PackedManifest.Matrix) -> [String] {
        switch (matrix.format, matrix.values) {
        case (.dense, .elements): [""]
        case (.tiledBitmap, .elements): [masks, values, panelOffsets]
        case (.slicedEllpack, _): [deltas, values, sliceOffsets, laneRows]
        case (.tiledCSL, _): [words, tileOffsets]
        case (.dense, .integers): [values, scales, panelOffsets]
        case (.tiledBitmap, .integers): [masks, values, scales, panelOffsets]
        }
    }

    /// Every suffix there is.
    static let all = [
        "", masks, values, scales, panelOffsets, deltas, sliceOffsets, laneRows, words, tileOffsets,
    ]
}

extension QuantizedCoding {
    /// The type of a chunk's mask.
    var maskType: ElementType { self == .i16 ? .u32 : .u64 }
}
