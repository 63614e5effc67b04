import LinearAlgebra
import Sparse

/// A matrix whose weights have few bits while it is trained: products see the nearest values of a grid, gradients move
/// weights of full precision behind them ("straight-through").
///
/// Source: Bengio, Leonard, Courville, "Estimating or Propagating Gradients Through Stochastic Neurons for Conditional
/// Computation", arXiv:1308.3432.
struct RoundedWeights {
    /// What products see: on the grid.
    let values: Matrix
    /// What is trained; zeros are fixed.
    let weights: Matrix
    private let grid: ValueGrid
    /// `[rows, groups]`, those of the weights at first, for good.
    private let scales: Matrix

    /// - Parameter values: rounded in place.
    init(_ values: Matrix, grid: ValueGrid, arithmetic: Arithmetic) {
        self.values = values
        self.grid = grid
        weights = values.copy()
        let (columns, size) = (values.columns, grid.groupColumns(inRowOf: values.columns))
        scales = Matrix(uninitializedRows: values.rows, columns: (columns + size - 1) / size)
        let (from, to) = (weights.slice, scales.slice)
        arithmetic.forEachRow(of: to) { row in
            for group in 0..<to.columns {
                let first = group * size
                to.row(row)[group] = grid.scale(
                    of: UnsafeBufferPointer(start: from.row(row) + first, count: min(size, columns - first)))
            }
        }
        round(arithmetic: arithmetic)
    }

    /// Makes the values the nearest of the weights.
    func round(arithmetic: Arithmetic) {
        let (from, to, scales) = (weights.slice, values.slice, scales.slice)
        let size = grid.groupColumns(inRowOf: values.columns)
        arithmetic.forEachRow(of: to) { row in
            let (weights, values) = (from.row(row), to.row(row))
            for column in 0..<to.columns {
                values[column] = grid.nearest(weights[column], scale: scales.row(row)[column / size])
            }
        }
    }
}
