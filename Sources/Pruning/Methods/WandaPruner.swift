public import LinearAlgebra

/// Zeroes the weights with the smallest product of their magnitude and their input's norm, by default of every output
/// row; the others stay as they are.
///
/// Source: Sun et al., "A Simple and Effective Pruning Approach for Large Language Models", arXiv:2306.11695.
public struct WandaPruner: Pruner {
    public init() {}

    public var needs: InputStatistics.Kind { .squares }

    /// Of equal scores the ones further left become zero.
    /// - Complexity: O(rows * columns) expected.
    public func prune(
        _ weights: Matrix, inputs: InputStatistics?, target: PruningTarget, arithmetic: Arithmetic
    ) throws(PruningError) {
        guard let inputs, inputs.width == weights.columns else {
            preconditionFailure("Wanda got no squares of \(weights.columns) inputs")
        }
        let norms = try inputs.finiteSquares().map { Float($0.squareRoot()) }
        let slice = weights.slice
        target.resolved(.row).forEachZero(rows: weights.rows, columns: weights.columns, arithmetic: arithmetic) {
            row, scores in
            for column in 0..<slice.columns { scores[column] = slice.row(row)[column].magnitude * norms[column] }
        } _: { row, column in
            slice.row(row)[column] = 0
        }
    }
}
