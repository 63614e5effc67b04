/// The sum of outer products of two vectors that come in batches: `products[i, j] = sum over t of x[t, i] * y[t, j]`.
public final class CrossProducts: @unchecked Sendable {
    /// `[left width, right width]`
    public let products: Matrix
    private let arithmetic: Arithmetic
    private let sums: Matrix

    public init(_ rows: Int, _ columns: Int, arithmetic: Arithmetic) {
        self.arithmetic = arithmetic
        products = Matrix(zeroRows: rows, columns: columns)
        sums = Matrix(uninitializedRows: rows, columns: columns)
    }

    /// - Complexity: O(rows * left width * right width).
    public func add(_ left: MatrixSlice, _ right: MatrixSlice) {
        precondition(left.rows == right.rows && left.columns == products.rows && right.columns == products.columns)
        for first in stride(from: 0, to: left.rows, by: Gram.batchRows) {
            let rows = first..<min(first + Gram.batchRows, left.rows)
            let turnedLeft = Matrix(uninitializedRows: left.columns, columns: rows.count)
            let turnedRight = Matrix(uninitializedRows: right.columns, columns: rows.count)
            arithmetic.transpose(left.slice(rows: rows), into: turnedLeft.slice)
            arithmetic.transpose(right.slice(rows: rows), into: turnedRight.slice)
            arithmetic.multiply(turnedLeft.slice, transposed: turnedRight.slice, into: sums.slice)
            arithmetic.add(sums.slice, to: products.slice)
        }
    }
}
