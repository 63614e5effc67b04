public import LinearAlgebra
import Tensors

/// Goes through a matrix's columns from left to right. A weight that becomes zero changes the row's output; the weights
/// to the right of it, whose turn is yet to come, are moved so that they make up for as much of that as they can.
///
/// Weights are chosen 128 columns at a time, by what zeroing them would cost: by default over all rows at once.
/// Source: Frantar, Alistarh, "SparseGPT: Massive Language Models Can Be Accurately Pruned in One-Shot", ICML 2023,
/// arXiv:2301.00774.
public struct SparseGPTPruner: Pruner {
    /// Columns whose weights are chosen together.
    public var blockColumns = 128
    /// Share of the mean square of the inputs that is added to every input's.
    public var damping = 0.01

    public init() {}

    public var needs: InputStatistics.Kind { .products }

    /// - Complexity: O(columns^3 + rows * columns^2).
    public func prune(
        _ weights: Matrix, inputs: InputStatistics?, target: PruningTarget, arithmetic: Arithmetic
    ) throws(PruningError) {
        guard let inputs, inputs.width == weights.columns else {
            preconditionFailure("SparseGPT got no products of \(weights.columns) inputs")
        }
        let factor = try inputs.inverseFactor(damping: damping)
        for row in 0..<weights.rows {
            for column in factor.dead { weights.slice.row(row)[column] = 0 }
        }
        var selector = BlockSelector(target: target, rows: weights.rows)
        var step = blockColumns
        if case .pattern(_, let size) = target.structure { step = max(step / size, 1) * size }
        ColumnSweep(factor: factor.upper).run(weights, blockColumns: step, arithmetic: arithmetic) { columns in
            selector.zeros(weights, columns, factor: factor.upper, arithmetic: arithmetic)
        } change: { row, mask in
            if let mask {
                let isZero = mask.pointer + row.index * row.columns.count - row.columns.lowerBound
                for column in row.columns where isZero[column] { row.set(column, to: 0) }
            } else {
                Self.zeroByPattern(row, target)
            }
        }
    }

    /// Zeros in a pattern, chosen group by group by the weights as they are by then.
    private static func zeroByPattern(_ row: ColumnSweep.Row, _ target: PruningTarget) {
        guard case .pattern(_, let size) = target.structure else { preconditionFailure("no pattern") }
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * size) { memory in
            withUnsafeTemporaryAllocation(of: Bool.self, capacity: size) { isZero in
                for first in stride(from: row.columns.lowerBound, to: row.columns.upperBound, by: size) {
                    let group = first..<min(first + size, row.columns.upperBound)
                    for column in group {
                        let cost = row[column] / row.pivot(column)
                        memory[column - first] = cost * cost
                        isZero[column - first] = false
                    }
                    target.forEachZero(
                        inRow: UnsafeBufferPointer(rebasing: memory[..<group.count]),
                        scratch: UnsafeMutableBufferPointer(rebasing: memory[size...])
                    ) { isZero[$0] = true }
                    for column in group where isZero[column - first] { row.set(column, to: 0) }
                }
            }
        }
    }
}

/// Chooses the zeros of one block of columns after the other, so that their number is right to one element in the end.
private struct BlockSelector {
    let target: PruningTarget
    let rows: Int
    /// Columns that are behind us, and the zeros chosen in them: in each row or, if rows share a threshold, in all.
    private var columnsDone = 0
    private var zerosDone = 0

    init(target: PruningTarget, rows: Int) {
        self.target = target.resolved(.matrix)
        self.rows = rows
    }

    /// Which weights of the block become zero, `[rows, columns of the block]`; nil for patterns, whose zeros are chosen
    /// while the weights move.
    mutating func zeros(
        _ weights: Matrix, _ columns: Range<Int>, factor: Matrix, arithmetic: Arithmetic
    ) -> AlignedBuffer<Bool>? {
        if case .pattern = target.structure { return nil }
        columnsDone += columns.count
        let sharing = target.structure == .row ? 1 : rows
        let zeros = target.zeroCount(of: columnsDone * sharing) - zerosDone
        zerosDone += zeros
        let width = columns.count
        let scores = Matrix(uninitializedRows: rows, columns: width)
        arithmetic.forEachRow(of: scores.slice) { row in
            let (from, to) = (weights.slice.row(row), scores.slice.row(row))
            for index in 0..<width {
                let column = columns.lowerBound + index
                let cost = from[column] / factor.pointer[column * factor.columns + column]
                to[index] = cost * cost
            }
        }
        let isZero = AlignedBuffer<Bool>(repeating: false, count: rows * width)
        let scratch = Matrix(uninitializedRows: sharing, columns: width)
        withExtendedLifetime((scores, scratch)) {
            for first in stride(from: 0, to: rows, by: sharing) {
                let group = UnsafeBufferPointer(
                    start: scores.pointer + first * width, count: sharing * width)
                Selection.forEachLeast(min(zeros, group.count), of: group, scratch: scratch.elements) {
                    isZero.pointer[first * width + $0] = true
                }
            }
        }
        return isZero
    }
}
