/// The sum of outer products of vectors that come in batches: `products[i, j] = sum over t of x[t, i] * x[t, j]`.
///
/// Each batch of up to ``batchRows`` vectors is added up in float32 and then added to the total, so that the error
/// stays that of a sum of some dozen numbers. Only blocks on and below the diagonal are computed.
public final class Gram: @unchecked Sendable {
    public let width: Int
    /// `[width, width]`, symmetric once ``finish()`` has been called; before that its upper blocks are not valid.
    public let products: Matrix
    /// Vectors that were added.
    public private(set) var count = 0

    public static let batchRows = 2048
    private static let block = 128
    private let arithmetic: Arithmetic
    private var transposed: Matrix?
    private let sums: Matrix

    public init(width: Int, arithmetic: Arithmetic) {
        self.width = width
        self.arithmetic = arithmetic
        products = Matrix(zeroRows: width, columns: width)
        sums = Matrix(uninitializedRows: width, columns: width)
    }

    /// Adds the rows of `vectors`, `[any, width]`.
    /// - Complexity: O(rows * width^2 / 2).
    public func add(_ vectors: MatrixSlice) {
        precondition(vectors.columns == width)
        for first in stride(from: 0, to: vectors.rows, by: Self.batchRows) {
            addBatch(vectors.slice(rows: first..<min(first + Self.batchRows, vectors.rows)))
        }
        count += vectors.rows
    }

    private func addBatch(_ vectors: MatrixSlice) {
        let columns: Matrix
        if let transposed, transposed.columns == vectors.rows {
            columns = transposed
        } else {
            columns = Matrix(uninitializedRows: width, columns: vectors.rows)
            transposed = columns
        }
        arithmetic.transpose(vectors, into: columns.slice)
        let blocks = (width + Self.block - 1) / Self.block
        arithmetic.pool.forEachChunk(blocks) { task, thread in
            // The longest first.
            let first = (blocks - 1 - task) * Self.block
            let rows = first..<min(first + Self.block, width)
            arithmetic.multiply(
                columns.slice(rows: rows), transposed: columns.slice, rows: 0..<rows.upperBound,
                into: sums.slice(rows: rows), scratch: arithmetic.scratch(ofThread: thread))
            for row in rows {
                let (from, to) = (sums.slice.row(row), products.slice.row(row))
                for column in 0..<rows.upperBound { to[column] += from[column] }
            }
        }
    }

    /// Fills in what is above the diagonal. More vectors may follow.
    public func finish() {
        for row in 0..<width {
            for column in row + 1..<max(width, row + 1) {
                products.pointer[row * width + column] = products.pointer[column * width + row]
            }
        }
    }
}
