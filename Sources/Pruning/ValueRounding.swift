public import LinearAlgebra
public import Sparse

/// Rounds what pruning left to values of few bits, from left to right: what a weight loses, the weights to the right of
/// it make up for. Zeros stay.
///
/// Source: Frantar et al., "GPTQ: Accurate Post-Training Quantization for Generative Pre-trained Transformers", ICLR
/// 2023, arXiv:2210.17323, with zeros as one more value that a weight can be fixed to.
public struct ValueRounding: Sendable {
    public let grid: ValueGrid
    /// Share of the mean square of the inputs that is added to every input's.
    public var damping = 0.01
    /// Columns after which the rest of a row is moved at once; a multiple of a group's, unless that is the row.
    private static let blockColumns = 128

    public init(_ grid: ValueGrid) { self.grid = grid }

    /// - Parameters:
    ///   - weights: `[outputs, inputs]`; all on the grid afterwards.
    ///   - kept: which of them are not to be zero, row by row; nil for those that are not.
    ///   - inputs: with products.
    /// - Complexity: O(columns^3 + rows * columns^2).
    public func round(
        _ weights: Matrix, keeping kept: [Bool]? = nil, inputs: InputStatistics, arithmetic: Arithmetic
    ) throws(PruningError) {
        let factor = try inputs.inverseFactor(damping: damping)
        let (rows, columns) = (weights.rows, weights.columns)
        let groupColumns = grid.groupColumns(inRowOf: columns)
        let kept = kept ?? weights.elements.map { $0 != 0 }
        let scales = Matrix(zeroRows: rows, columns: 1)
        let slice = scales.slice
        ColumnSweep(factor: factor.upper).run(
            weights, blockColumns: Self.blockColumns, arithmetic: arithmetic, prepare: { _ in }
        ) { row, _ in
            for column in row.columns {
                let isKept = kept[row.index * columns + column]
                if column % groupColumns == 0 {
                    let group = column..<min(column + groupColumns, columns)
                    slice.row(row.index)[0] = scale(of: row, group) { kept[row.index * columns + $0] }
                }
                row.set(column, to: isKept ? grid.nearest(row[column], scale: slice.row(row.index)[0]) : 0)
            }
        }
    }

    private func scale(of row: ColumnSweep.Row, _ columns: Range<Int>, isKept: (Int) -> Bool) -> Float {
        withUnsafeTemporaryAllocation(of: Float.self, capacity: columns.count) { weights in
            for column in columns { weights[column - columns.lowerBound] = isKept(column) ? row[column] : 0 }
            return grid.scale(of: UnsafeBufferPointer(weights))
        }
    }
}
