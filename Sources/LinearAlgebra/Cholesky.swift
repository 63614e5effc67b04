/// The Cholesky factor of a symmetric positive definite matrix, and what follows from it.
///
/// Blocked, on float32 products; the blocks on the diagonal are factored and inverted in double precision. As accurate
/// as LAPACK's `spotrf`: the factor is that of a matrix within some n * 2^-24 of the given one.
/// Source: Golub, Van Loan, "Matrix Computations", 4th edition, 4.2.9.
public struct Cholesky {
    /// A matrix was not positive definite.
    public struct NotPositiveDefinite: Error, CustomStringConvertible {
        /// The first row whose pivot was not positive.
        public let row: Int
        public let pivot: Double

        public var description: String {
            "row \(row) of a matrix to factor: expected a positive pivot, found \(pivot)"
        }
    }

    /// L of `matrix = L L^T`, `[n, n]`, zeros above the diagonal.
    public let factor: Matrix
    private let arithmetic: Arithmetic
    private var size: Int { factor.rows }

    private static let block = 96

    /// Factors `matrix`, of which only the diagonal and what is below it is read.
    /// - Complexity: O(n^3 / 3).
    public init(of matrix: Matrix, arithmetic: Arithmetic) throws(NotPositiveDefinite) {
        precondition(matrix.rows == matrix.columns)
        factor = matrix.copy()
        self.arithmetic = arithmetic
        for first in stride(from: 0, to: size, by: Self.block) {
            try factorBlock(first..<min(first + Self.block, size))
        }
        for row in 0..<size { (factor.slice.row(row) + row + 1).update(repeating: 0, count: size - row - 1) }
    }

    private func factorBlock(_ columns: Range<Int>) throws(NotPositiveDefinite) {
        let (first, width) = (columns.lowerBound, columns.count)
        if first > 0 {
            // What the columns on the left take away from this block and all below it.
            let panel = Matrix(uninitializedRows: width, columns: first)
            arithmetic.copy(factor.slice(rows: columns, columns: 0..<first), into: panel.slice)
            let change = Matrix(uninitializedRows: size - first, columns: width)
            arithmetic.multiply(
                factor.slice(rows: first..<size, columns: 0..<first), transposed: panel.slice, into: change.slice)
            arithmetic.add(change.slice, times: -1, to: factor.slice(rows: first..<size, columns: columns))
        }
        let diagonal = try factorDiagonal(columns)
        let below = columns.upperBound..<size
        if below.isEmpty { return }
        let inverse = Self.inverse(ofLower: diagonal, size: width)
        let solved = Matrix(uninitializedRows: below.count, columns: width)
        arithmetic.multiply(
            factor.slice(rows: below, columns: columns), transposed: inverse.slice, into: solved.slice)
        arithmetic.copy(solved.slice, into: factor.slice(rows: below, columns: columns))
    }

    /// Factors a block on the diagonal in place; returns it in double precision.
    private func factorDiagonal(_ columns: Range<Int>) throws(NotPositiveDefinite) -> [Double] {
        let (first, width) = (columns.lowerBound, columns.count)
        var block = [Double](repeating: 0, count: width * width)
        for i in 0..<width {
            for j in 0...i { block[i * width + j] = Double(factor[first + i, first + j]) }
        }
        for j in 0..<width {
            var pivot = block[j * width + j]
            for k in 0..<j { pivot -= block[j * width + k] * block[j * width + k] }
            guard pivot > 0, pivot.isFinite else { throw NotPositiveDefinite(row: first + j, pivot: pivot) }
            let root = pivot.squareRoot()
            block[j * width + j] = root
            for i in j + 1..<max(width, j + 1) {
                var sum = block[i * width + j]
                for k in 0..<j { sum -= block[i * width + k] * block[j * width + k] }
                block[i * width + j] = sum / root
            }
        }
        for i in 0..<width {
            for j in 0...i { factor[first + i, first + j] = Float(block[i * width + j]) }
        }
        return block
    }

    /// The inverse of a lower triangular block, which is lower triangular, too.
    private static func inverse(ofLower block: [Double], size: Int) -> Matrix {
        var inverse = [Double](repeating: 0, count: size * size)
        for column in 0..<size {
            inverse[column * size + column] = 1 / block[column * size + column]
            for row in column + 1..<max(size, column + 1) {
                var sum = 0.0
                for k in column..<row { sum -= block[row * size + k] * inverse[k * size + column] }
                inverse[row * size + column] = sum / block[row * size + row]
            }
        }
        return Matrix(rows: size, columns: size, inverse.map { Float($0) })
    }

    /// The transposed inverse of the factor, `L^-T`, upper triangular `[n, n]`.
    /// - Complexity: O(n^3 / 2).
    public func transposedInverse() -> Matrix {
        let result = Matrix(zeroRows: size, columns: size)
        for first in stride(from: 0, to: size, by: Self.block) {
            let rows = first..<min(first + Self.block, size)
            let block = rows.flatMap { i in rows.map { j in Double(factor[i, j]) } }
            let inverse = Self.inverse(ofLower: block, size: rows.count)
            for i in 0..<rows.count {
                for j in 0...i { result[first + j, first + i] = inverse[i, j] }
            }
            if first == 0 { continue }
            // X[rows, 0..<first] = -X[rows, rows] L[rows, 0..<first] X[0..<first, 0..<first], all transposed.
            let left = Matrix(zeroRows: rows.count, columns: size)
            arithmetic.copy(
                factor.slice(rows: rows, columns: 0..<first), into: left.slice(rows: 0..<rows.count, columns: 0..<first)
            )
            let known = Matrix(uninitializedRows: rows.count, columns: first)
            arithmetic.multiply(left.slice, transposed: result.slice(rows: 0..<first), into: known.slice)
            let knownColumns = Matrix(uninitializedRows: first, columns: rows.count)
            arithmetic.transpose(known.slice, into: knownColumns.slice)
            let change = Matrix(uninitializedRows: first, columns: rows.count)
            arithmetic.multiply(knownColumns.slice, transposed: inverse.slice, into: change.slice)
            arithmetic.add(change.slice, times: -1, to: result.slice(rows: 0..<first, columns: rows))
        }
        return result
    }

    /// The inverse of the factored matrix, symmetric `[n, n]`.
    /// - Complexity: O(3/2 n^3).
    public func inverse() -> Matrix {
        let factor = transposedInverse()
        let result = Matrix(uninitializedRows: size, columns: size)
        arithmetic.multiply(factor.slice, transposed: factor.slice, into: result.slice)
        return result
    }
}

extension Cholesky {
    /// The upper triangular U with `matrix^-1 = U^T U`.
    ///
    /// Turned around by both its axes, the matrix has a factor L, and U is `L^-1` turned back: one factorisation and
    /// one triangular inverse, where factoring the inverse would take two factorisations.
    public static func upperFactor(ofInverse matrix: Matrix, arithmetic: Arithmetic) throws(NotPositiveDefinite)
        -> Matrix
    {
        let size = matrix.rows
        let turned = Matrix(uninitializedRows: size, columns: size)
        arithmetic.forEachRow(of: turned.slice) { row in
            let (from, to) = (matrix.slice.row(size - 1 - row), turned.slice.row(row))
            for column in 0..<size { to[column] = from[size - 1 - column] }
        }
        let columns = try Cholesky(of: turned, arithmetic: arithmetic).transposedInverse()
        // U[i, j] = L^-1[n - 1 - i, n - 1 - j] = L^-T[n - 1 - j, n - 1 - i]
        let result = Matrix(uninitializedRows: size, columns: size)
        arithmetic.transpose(columns.slice, into: turned.slice)
        arithmetic.forEachRow(of: result.slice) { row in
            let (from, to) = (turned.slice.row(size - 1 - row), result.slice.row(row))
            for column in 0..<size { to[column] = from[size - 1 - column] }
        }
        return result
    }
}
