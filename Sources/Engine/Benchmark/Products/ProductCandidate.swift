import Sparse
import Tensors

/// One way to store a matrix whose speed is measured.
public struct ProductCandidate: Sendable {
    /// Format and type of values: "tiled-bitmap-f16".
    public let name: String
    /// Whether zeros are stored, too: a baseline that sparse formats are compared with.
    public let isDense: Bool
    /// Whether values and activations become integers: then ``integerBaseline`` is a baseline, too.
    public let isInteger: Bool
    /// Whether it is measured where no formats are asked for.
    public let isStandard: Bool
    /// How far, relative to its size, a product may be off the double-precision one of the same stored weights and, for
    /// integers, the same quantised activations.
    public let errorLimit: Double
    /// Packs `[rows, columns]` 16-bit patterns of f16.
    let pack: @Sendable (ProductShape, Storage<UInt16>, WorkerPool) throws(SparseError) -> PackedMatrix

    /// Everything that can be measured. The first one is what the others are compared with.
    public static let all: [ProductCandidate] = [
        exact("dense-f16", .dense),
        integers("dense-i8", .dense, .i8),
        integers("dense-i4", .dense, .i4),
        exact("tiled-bitmap-f16", .tiledBitmap),
        integers("tiled-bitmap-i16", .tiledBitmap, .i16),
        integers("tiled-bitmap-i8", .tiledBitmap, .i8),
        integers("tiled-bitmap-i4", .tiledBitmap, .i4),
        exact("sliced-ellpack-f16", .slicedEllpack),
        exact("tiled-csl-f16", .tiledCSL, isStandard: false),
        integers("tiled-bitmap-i8-g32", .tiledBitmap, .i8, .columns32, isStandard: false),
        integers("tiled-bitmap-i8-row", .tiledBitmap, .i8, .row, isStandard: false),
        integers("tiled-bitmap-i4-g32", .tiledBitmap, .i4, .columns32, isStandard: false),
    ]

    /// The dense baselines' names: what ratios are to.
    public static let baseline = "dense-f16"
    public static let integerBaseline = "dense-i8"

    /// A format that keeps values as they are: only float32's rounding separates it from the reference.
    private static func exact(_ name: String, _ format: PackedFormat, isStandard: Bool = true) -> ProductCandidate {
        packing(name, format, values: .exact, isStandard: isStandard)
    }

    private static func integers(
        _ name: String, _ format: PackedFormat, _ coding: QuantizedCoding, _ group: ScaleGroup = .columns128,
        isStandard: Bool = true
    ) -> ProductCandidate {
        packing(name, format, values: .quantized(coding, group), isStandard: isStandard)
    }

    private static func packing(
        _ name: String, _ format: PackedFormat, values: ValueChoice, isStandard: Bool
    ) -> ProductCandidate {
        ProductCandidate(
            name: name, isDense: format == .dense, isInteger: values != .exact, isStandard: isStandard,
            errorLimit: 1e-4
        ) { (shape, elements, pool) throws(SparseError) in
            try PackedMatrix.pack(
                rows: shape.rows, columns: shape.columns, elements: elements, valueType: .f16, choice: .fixed(format),
                values: values, pool: pool
            ).matrix
        }
    }
}
