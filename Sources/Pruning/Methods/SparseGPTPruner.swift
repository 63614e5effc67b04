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
        for first in stride(from: 0, to: weights.columns, by: step) {
            let columns = first..<min(first + step, weights.columns)
            let mask = selector.zeros(weights, columns, factor: factor.upper, arithmetic: arithmetic)
            let errors = Matrix(uninitializedRows: weights.rows, columns: columns.count)
            let (slice, lost) = (weights.slice, errors.slice)
            arithmetic.forEachRow(of: lost) { row in
                if let mask {
                    Self.pruneRow(
                        slice.row(row), columns, mask.pointer + row * columns.count, factor.upper,
                        errors: lost.row(row))
                } else {
                    Self.pruneByPattern(slice.row(row), columns, target, factor.upper, errors: lost.row(row))
                }
            }
            Self.updateRest(weights, behind: columns, errors: errors, factor: factor.upper, arithmetic: arithmetic)
        }
    }

    /// One row's weights of a block: zeroes those of the mask and moves those to the right of them within the block.
    /// `errors[i]` is what the weight i lost, in units of its pivot.
    private static func pruneRow(
        _ row: UnsafeMutablePointer<Float>, _ columns: Range<Int>, _ isZero: UnsafePointer<Bool>, _ factor: Matrix,
        errors: UnsafeMutablePointer<Float>
    ) {
        for index in 0..<columns.count {
            errors[index] = 0
            if isZero[index] { zero(row, columns, index, factor, errors: errors) }
        }
    }

    /// The same with zeros in a pattern, chosen group by group by the weights as they are by then.
    private static func pruneByPattern(
        _ row: UnsafeMutablePointer<Float>, _ columns: Range<Int>, _ target: PruningTarget, _ factor: Matrix,
        errors: UnsafeMutablePointer<Float>
    ) {
        guard case .pattern(_, let size) = target.structure else { preconditionFailure("no pattern") }
        let pivots = factor.slice
        withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * size) { memory in
            withUnsafeTemporaryAllocation(of: Bool.self, capacity: size) { isZero in
                for first in stride(from: 0, to: columns.count, by: size) {
                    let group = first..<min(first + size, columns.count)
                    for index in group {
                        let column = columns.lowerBound + index
                        let cost = row[column] / pivots.row(column)[column]
                        memory[index - first] = cost * cost
                        isZero[index - first] = false
                    }
                    target.forEachZero(
                        inRow: UnsafeBufferPointer(rebasing: memory[..<group.count]),
                        scratch: UnsafeMutableBufferPointer(rebasing: memory[size...])
                    ) { isZero[$0] = true }
                    for index in group {
                        errors[index] = 0
                        if isZero[index - first] { zero(row, columns, index, factor, errors: errors) }
                    }
                }
            }
        }
    }

    private static func zero(
        _ row: UnsafeMutablePointer<Float>, _ columns: Range<Int>, _ index: Int, _ factor: Matrix,
        errors: UnsafeMutablePointer<Float>
    ) {
        let column = columns.lowerBound + index
        let pivots = factor.pointer + column * factor.columns
        let error = row[column] / pivots[column]
        errors[index] = error
        row[column] = 0
        for other in column + 1..<max(columns.upperBound, column + 1) { row[other] -= error * pivots[other] }
    }

    /// Moves all weights behind a block: `weights -= errors * U[block, rest]`.
    private static func updateRest(
        _ weights: Matrix, behind columns: Range<Int>, errors: Matrix, factor: Matrix, arithmetic: Arithmetic
    ) {
        let rest = columns.upperBound..<weights.columns
        if rest.isEmpty { return }
        let pivots = Matrix(uninitializedRows: rest.count, columns: columns.count)
        arithmetic.transpose(factor.slice(rows: columns, columns: rest), into: pivots.slice)
        let change = Matrix(uninitializedRows: weights.rows, columns: rest.count)
        arithmetic.multiply(errors.slice, transposed: pivots.slice, into: change.slice)
        arithmetic.add(change.slice, times: -1, to: weights.slice(rows: 0..<weights.rows, columns: rest))
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
