public import Tensors

/// What `pack` is asked for: one format for all matrices, or the best for each.
public enum FormatChoice: Sendable, Equatable {
    case automatic
    case fixed(PackedFormat)
}

/// What packing does to the values of a matrix.
public enum ValueChoice: Sendable, Equatable {
    /// They stay what they are in 16 bits.
    case exact
    /// They become integers.
    case quantized(QuantizedCoding, ScaleGroup)
}

extension PackedMatrix {
    /// Bytes that each format takes for a matrix with these elements, the smallest first; formats of equal size in the
    /// order of ``PackedFormat``.
    /// - Complexity: O(rows * columns).
    public static func sizes(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType
    ) throws(SparseError) -> (nonzeroCount: Int, sizes: [(format: PackedFormat, byteCount: Int)]) {
        let source = try TiledCSL.Source(rows: rows, columns: columns, elements: elements, valueType: valueType)
        var counts: [Int] = []
        for tileRow in 0..<source.tileRowCount { counts += try source.nonzeroCounts(inTileRow: tileRow) }
        let nonzeroCount = counts.reduce(0, +)
        let sizes = PackedFormat.allCases.map { format -> (format: PackedFormat, byteCount: Int) in
            switch format {
            case .dense: (format, rows * columns * valueType.byteCount)
            case .tiledCSL: (format, TiledCSL.storedByteCount(nonzeroCounts: counts))
            case .tiledBitmap:
                (format, TiledBitmap.storedByteCount(rows: rows, columns: columns, nonzeroCount: nonzeroCount))
            case .slicedEllpack:
                (format, SlicedEllpack.storedByteCount(rows: rows, columns: columns, elements: elements))
            }
        }
        return (nonzeroCount, sizes.sorted { $0.byteCount < $1.byteCount })
    }

    /// Packs a dense matrix.
    /// - Parameters:
    ///   - elements: `[rows, columns]`, row-major 16-bit patterns of `valueType`.
    ///   - choice: `automatic` takes the format of the fewest bytes among those that hold the values asked for.
    ///   - values: what is stored of the values.
    /// - Throws: `SparseError.notFinite` for a NaN or an infinity; `.unsupportedIntegers` for integers in a format that
    ///   has none.
    public static func pack(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, choice: FormatChoice,
        values: ValueChoice = .exact, pool: WorkerPool
    ) throws(SparseError) -> (matrix: PackedMatrix, nonzeroCount: Int) {
        let dense = DenseMatrix(rows: rows, columns: columns, element: valueType, bytes: elements.bytes)
        if case .quantized(let coding, let group) = values {
            let matrix = try QuantizedMatrix(
                dense, coding: coding, group: group, positions: try positions(choice, coding: coding), pool: pool)
            return (.quantized(matrix), matrix.countNonzeros())
        }
        let (nonzeroCount, sizes) = try sizes(rows: rows, columns: columns, elements: elements, valueType: valueType)
        let format: PackedFormat =
            switch choice {
            case .automatic: sizes[0].format
            case .fixed(let format): format
            }
        switch format {
        case .dense:
            return (.dense(dense), nonzeroCount)
        case .tiledBitmap:
            let matrix = try TiledBitmap(
                rows: rows, columns: columns, elements: elements, valueType: valueType, pool: pool)
            return (.tiledBitmap(matrix), nonzeroCount)
        case .slicedEllpack:
            let matrix = try SlicedEllpack(
                rows: rows, columns: columns, elements: elements, valueType: valueType, pool: pool)
            return (.slicedEllpack(matrix), nonzeroCount)
        case .tiledCSL:
            let matrix = try TiledCSL(rows: rows, columns: columns, elements: elements, valueType: valueType)
            return (.tiledCSL(matrix), nonzeroCount)
        }
    }

    /// The positions of a quantised matrix in the format asked for; nil for the smaller ones.
    private static func positions(
        _ choice: FormatChoice, coding: QuantizedCoding
    ) throws(SparseError) -> QuantizedMatrix.Positions? {
        switch choice {
        case .automatic: nil
        case .fixed(.dense): .dense
        case .fixed(.tiledBitmap): .bitmap
        case .fixed(let format): throw .unsupportedIntegers(format, coding)
        }
    }
}

extension PackedFormat {
    /// Whether the format can hold integers.
    public var holdsIntegers: Bool { self == .dense || self == .tiledBitmap }
}
