import Sparse
import Tensors

/// One way to store a matrix whose speed is measured.
public struct ProductCandidate: Sendable {
    /// Format and type of values: "tiled-bitmap-f16".
    public let name: String
    /// Whether zeros are stored, too: a baseline that sparse formats are compared with.
    public let isDense: Bool
    /// How far, relative to its size, a product may be off the double-precision one of the same stored weights.
    public let errorLimit: Double
    /// Packs `[rows, columns]` 16-bit patterns of f16.
    let pack: @Sendable (ProductShape, Storage<UInt16>, WorkerPool) throws(SparseError) -> PackedMatrix

    /// Everything that can be measured. The first one is what the others are compared with.
    public static let all: [ProductCandidate] = [
        exact("dense-f16", .dense), exact("tiled-bitmap-f16", .tiledBitmap), exact("tiled-csl-f16", .tiledCSL),
    ]

    /// A format that keeps values as they are: only float32's rounding separates it from the reference.
    private static func exact(_ name: String, _ format: PackedFormat) -> ProductCandidate {
        ProductCandidate(name: name, isDense: format == .dense, errorLimit: 1e-4) {
            (shape, elements, pool) throws(SparseError) in
            try PackedMatrix.pack(
                rows: shape.rows, columns: shape.columns, elements: elements, valueType: .f16, choice: .fixed(format),
                pool: pool
            ).matrix
        }
    }

    /// The dense baselines' names: what ratios are to.
    public static let baseline = "dense-f16"
}
