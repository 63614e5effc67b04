public import LinearAlgebra

/// Zeroes the smallest weights, by default of every output row.
///
/// Comparing within a row, not over the matrix, keeps every output unit alive (as Wanda does, Sun et al.,
/// arXiv:2306.11695, section 3).
public struct MagnitudePruner: Pruner {
    public init() {}

    public var needs: InputStatistics.Kind { .nothing }

    /// Of equal magnitudes the ones further left become zero.
    /// - Complexity: O(rows * columns) expected.
    public func prune(
        _ weights: Matrix, inputs: InputStatistics? = nil, target: PruningTarget, arithmetic: Arithmetic
    ) {
        let slice = weights.slice
        target.resolved(.row).forEachZero(rows: weights.rows, columns: weights.columns, arithmetic: arithmetic) {
            row, scores in
            for column in 0..<slice.columns { scores[column] = slice.row(row)[column].magnitude }
        } _: { row, column in
            slice.row(row)[column] = 0
        }
    }
}
