public import Sparse
public import Tensors
public import Transformer

/// What a model would come to if its matrices had so many zeros and were packed: bytes and, by a cost model, the time
/// of a step.
///
/// Zeros are taken to lie anywhere, which is how pruning without a pattern leaves them. So a few random rows of the
/// same width, packed as the matrix would be, stand for all of its rows.
public final class PackedEstimate {
    /// Bytes, and seconds of the products of one token; no time where no cost model is asked.
    public struct Size: Sendable, Equatable {
        public var byteCount = 0.0
        public var seconds = 0.0

        static func + (left: Size, right: Size) -> Size {
            Size(byteCount: left.byteCount + right.byteCount, seconds: left.seconds + right.seconds)
        }

        static func * (size: Size, factor: Double) -> Size {
            Size(byteCount: size.byteCount * factor, seconds: size.seconds * factor)
        }
    }

    private struct Sample: Hashable {
        let columns: Int
        /// Of ``shareSteps``.
        let zeros: Int
    }

    private let layout: DecoderLayout
    private let choice: FormatChoice
    private let values: ValueChoice
    private let pool: WorkerPool
    /// For one row.
    private var sizes: [Sample: Size] = [:]
    /// Embedding, norms and head.
    private let others: Size

    /// Rows of a sample: whole panels of every format, several of them.
    private static let sampleRows = 256
    private static let shareSteps = 1000

    /// - Parameters:
    ///   - choice: how formats will be chosen; with a cost model there are times.
    ///   - tableValues: what embedding table and head will be stored as; they stay dense.
    /// - Throws: `SparseError` if the choice has no place for the values.
    public init(
        _ configuration: ModelConfiguration, choice: FormatChoice, values: ValueChoice, tableValues: ValueChoice,
        pool: WorkerPool
    ) throws(SparseError) {
        layout = DecoderLayout(configuration)
        self.choice = choice
        self.values = values
        self.pool = pool
        var others = Size()
        for tensor in layout.others where !layout.tables.contains(tensor.name) {
            others.byteCount += Double(2 * tensor.shape.reduce(1, *))
        }
        let isTied = layout.tables.count == 1
        for (index, name) in layout.tables.enumerated() {
            guard let table = layout.others.first(where: { $0.name == name }) else { continue }
            let (rows, columns) = (table.shape[0], table.shape[1])
            var size = try Self.size(
                columns: columns, sparsity: 0, choice: .fixed(.dense), values: tableValues, pool: pool)
            let isHead = isTied || index > 0
            size.seconds =
                isHead ? Self.denseSeconds(choice, size, columns: columns, values: tableValues) : 0
            others = others + size * Double(rows)
        }
        self.others = others
    }

    /// The whole model with the same share of zeros in all matrices.
    /// - Throws: `SparseError` as `init`.
    public func size(uniformSparsity sparsity: Double) throws(SparseError) -> Size { try size(of: uniform(sparsity)) }

    /// The plan for that.
    func uniform(_ sparsity: Double) -> SparsityPlan {
        let layers = (layout.projections.last?.layer ?? -1) + 1
        return .uniform(sparsity, layers: layers, matrices: layout.projections.count / max(layers, 1))
    }

    /// The whole model with these shares of zeros.
    /// - Throws: `SparseError` as `init`.
    func size(of plan: SparsityPlan) throws(SparseError) -> Size {
        var sum = others
        // Both go layer by layer, in the order of use.
        for (projection, share) in zip(layout.projections, plan.sparsities.joined()) {
            sum = sum + (try size(columns: projection.columns, sparsity: share)) * Double(projection.rows)
        }
        return sum
    }

    private func size(columns: Int, sparsity: Double) throws(SparseError) -> Size {
        let sample = Sample(columns: columns, zeros: Int((sparsity * Double(Self.shareSteps)).rounded()))
        if let known = sizes[sample] { return known }
        let size = try Self.size(
            columns: columns, sparsity: Double(sample.zeros) / Double(Self.shareSteps), choice: choice, values: values,
            pool: pool)
        sizes[sample] = size
        return size
    }

    /// Of one row.
    private static func size(
        columns: Int, sparsity: Double, choice: FormatChoice, values: ValueChoice, pool: WorkerPool
    ) throws(SparseError) -> Size {
        let elements = AlignedBuffer<UInt16>(uninitializedCount: sampleRows * columns)
        let threshold = UInt64(sparsity * Double(1 << 31))
        var state: UInt64 = 0x9E37_79B9_7F4A_7C15
        for index in elements.elements.indices {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            // f16 from 1 to 2, of both signs: integers of them are not zero.
            let value = 0x3C00 | UInt16(truncatingIfNeeded: state >> 20) & 0x83FF
            elements.elements[index] = state >> 33 < threshold ? 0 : value
        }
        let packing = try PackedMatrix.pack(
            rows: sampleRows, columns: columns, elements: elements.frozen(), valueType: .f16, choice: choice,
            values: values, pool: pool)
        return Size(
            byteCount: Double(packing.matrix.storedByteCount), seconds: packing.decision?.chosen.costs[0].seconds ?? 0)
            * (1 / Double(sampleRows))
    }

    /// The time of a row of a dense table, which no cost model chooses.
    private static func denseSeconds(
        _ choice: FormatChoice, _ size: Size, columns: Int, values: ValueChoice
    ) -> Double {
        guard case .fastest(let costs) = choice else { return 0 }
        let coding: QuantizedCoding? = if case .quantized(let coding, _) = values { coding } else { nil }
        // Many rows, so that nothing is lost by whole bytes.
        let rows = sampleRows
        return costs.cost(
            of: ProductKind(format: .dense, coding: coding), byteCount: Int(size.byteCount * Double(rows)),
            weights: rows * columns, density: 1, tokens: costs.tokenCounts[0]
        ).seconds / Double(rows)
    }
}
