import LinearAlgebra

/// Goes through a matrix's columns from left to right and changes weights; what that does to the output, the weights
/// to the right of them make up for as far as they can. Rows by themselves.
///
/// Source: the update of Frantar, Alistarh, "SparseGPT", arXiv:2301.00774, and of Frantar et al., "GPTQ",
/// arXiv:2210.17323: weights change by -error * U[column, rest], U the upper Cholesky factor of the inverse of the
/// inputs' products.
struct ColumnSweep {
    /// U, `[columns, columns]`.
    let factor: Matrix

    /// One row of a block of columns, while its weights change.
    struct Row {
        let index: Int
        let columns: Range<Int>
        fileprivate let weights: UnsafeMutablePointer<Float>
        fileprivate let errors: UnsafeMutablePointer<Float>
        fileprivate let factor: UnsafeMutablePointer<Float>
        fileprivate let stride: Int

        /// The weight in a column of the matrix.
        subscript(_ column: Int) -> Float { weights[column] }

        /// Of U, for the weights of a column.
        func pivot(_ column: Int) -> Float { factor[column * stride + column] }

        /// Changes the weight of a column, left to right, and moves those to the right of it within the block.
        func set(_ column: Int, to value: Float) {
            let pivots = factor + column * stride
            let error = (weights[column] - value) / pivots[column]
            errors[column - columns.lowerBound] = error
            weights[column] = value
            for other in column + 1..<max(columns.upperBound, column + 1) { weights[other] -= error * pivots[other] }
        }
    }

    /// Calls `change` for every row of every block of so many columns; the blocks one after the other, `prepare`
    /// before each of them.
    /// - Complexity: O(rows * columns^2).
    func run<Prepared>(
        _ weights: Matrix, blockColumns: Int, arithmetic: Arithmetic, prepare: (Range<Int>) -> Prepared,
        change: (Row, Prepared) -> Void
    ) {
        for first in stride(from: 0, to: weights.columns, by: blockColumns) {
            let columns = first..<min(first + blockColumns, weights.columns)
            let prepared = prepare(columns)
            let errors = Matrix(zeroRows: weights.rows, columns: columns.count)
            let (slice, lost) = (weights.slice, errors.slice)
            arithmetic.forEachRow(of: lost) { row in
                change(
                    Row(
                        index: row, columns: columns, weights: slice.row(row), errors: lost.row(row),
                        factor: factor.pointer, stride: factor.columns), prepared)
            }
            moveRest(of: weights, behind: columns, errors: errors, arithmetic: arithmetic)
        }
    }

    /// Moves all weights behind a block: `weights -= errors * U[block, rest]`.
    private func moveRest(of weights: Matrix, behind columns: Range<Int>, errors: Matrix, arithmetic: Arithmetic) {
        let rest = columns.upperBound..<weights.columns
        if rest.isEmpty { return }
        let pivots = Matrix(uninitializedRows: rest.count, columns: columns.count)
        arithmetic.transpose(factor.slice(rows: columns, columns: rest), into: pivots.slice)
        let change = Matrix(uninitializedRows: weights.rows, columns: rest.count)
        arithmetic.multiply(errors.slice, transposed: pivots.slice, into: change.slice)
        arithmetic.add(change.slice, times: -1, to: weights.slice(rows: 0..<weights.rows, columns: rest))
    }
}
