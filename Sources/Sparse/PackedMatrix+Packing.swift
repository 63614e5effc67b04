public import Tensors

/// What `pack` is asked for: one format for all matrices, or the best for each among those that hold the values.
public enum FormatChoice: Sendable, Equatable {
    /// That of the fewest bytes, which is the same on every machine.
    case smallest
    /// That of the least predicted time.
    case fastest(CostModel)
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
    /// What packing a matrix has come to.
    public struct Packing: Sendable {
        public let matrix: PackedMatrix
        public let nonzeroCount: Int
        /// nil where no cost model was asked.
        public let decision: FormatDecision?
    }

    /// Bytes that each format takes for a matrix with these elements, the smallest first; formats of equal size in the
    /// order of ``PackedFormat``.
    /// - Complexity: O(rows * columns).
    public static func sizes(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool? = nil
    ) throws(SparseError) -> (nonzeroCount: Int, sizes: [(format: PackedFormat, byteCount: Int)]) {
        let survey = try NonzeroSurvey(
            packing: elements, rows: rows, columns: columns, valueType: valueType, pool: pool)
        return (survey.nonzeroCount, survey.sizes)
    }

    /// Packs a dense matrix.
    /// - Parameters:
    ///   - elements: `[rows, columns]`, row-major 16-bit patterns of `valueType`.
    ///   - values: what is stored of the values.
    /// - Throws: `SparseError.notFinite` for a NaN or an infinity; `.unsupportedIntegers` for integers in a format that
    ///   has none.
    public static func pack(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, choice: FormatChoice,
        values: ValueChoice = .exact, pool: WorkerPool
    ) throws(SparseError) -> Packing {
        let dense = DenseMatrix(rows: rows, columns: columns, element: valueType, bytes: elements.bytes)
        if case .quantized(let coding, let group) = values {
            return try quantize(dense, coding: coding, group: group, choice: choice, pool: pool)
        }
        let survey = try NonzeroSurvey(
            packing: elements, rows: rows, columns: columns, valueType: valueType, pool: pool)
        var decision: FormatDecision?
        let format: PackedFormat
        switch choice {
        case .smallest: format = survey.sizes[0].format
        case .fixed(let asked): format = asked
        case .fastest(let costs):
            let made = costs.decide(
                sizes: survey.sizes, coding: nil, weights: rows * columns, nonzeroCount: survey.nonzeroCount)
            decision = made
            format = made.chosen.format
        }
        let matrix = try encode(dense, survey, as: format, pool: pool)
        return Packing(matrix: matrix, nonzeroCount: survey.nonzeroCount, decision: decision)
    }

    private static func encode(
        _ dense: DenseMatrix, _ survey: NonzeroSurvey, as format: PackedFormat, pool: WorkerPool
    ) throws(SparseError) -> PackedMatrix {
        switch format {
        case .dense: .dense(dense)
        case .tiledBitmap: .tiledBitmap(TiledBitmap(survey, pool: pool))
        case .slicedEllpack: .slicedEllpack(SlicedEllpack(survey, pool: pool))
        case .tiledCSL: .tiledCSL(try TiledCSL(survey, pool: pool))
        }
    }

    private static func quantize(
        _ dense: DenseMatrix, coding: QuantizedCoding, group: ScaleGroup, choice: FormatChoice, pool: WorkerPool
    ) throws(SparseError) -> Packing {
        if case .fixed(let format) = choice, !format.holdsIntegers { throw .unsupportedIntegers(format, coding) }
        var decision: FormatDecision?
        var nonzeroCount = 0
        let matrix = try QuantizedMatrix(dense, coding: coding, group: group, pool: pool) { rounded in
            nonzeroCount = rounded.nonzeroCount
            switch choice {
            case .smallest: return rounded.smallest
            case .fixed(let format): return format == .dense ? .dense : .bitmap
            case .fastest(let costs):
                let made = costs.decide(
                    sizes: [(.dense, rounded.denseByteCount), (.tiledBitmap, rounded.bitmapByteCount)], coding: coding,
                    weights: dense.rows * dense.columns, nonzeroCount: nonzeroCount)
                decision = made
                return made.chosen.format == .dense ? .dense : .bitmap
            }
        }
        return Packing(matrix: .quantized(matrix), nonzeroCount: nonzeroCount, decision: decision)
    }
}

extension PackedFormat {
    /// Whether the format can hold integers.
    public var holdsIntegers: Bool { self == .dense || self == .tiledBitmap }
}
