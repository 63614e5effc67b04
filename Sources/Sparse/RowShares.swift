/// Rows of one of several matrices that are computed together.
public struct RowChunk: Equatable, Sendable {
    /// Among those of a group.
    public let matrix: Int
    public let rows: Range<Int>
}

/// How the rows of matrices that are multiplied in one fork-join are spread over threads.
///
/// A thread's share is one stretch of the matrices, which lie behind each other here, so that what a kernel fetches
/// ahead of it is nearly always its own. It is cut where a matrix ends, and once more before its last quarter: chunks
/// are claimed one by one, and this is what others can take from a thread that the system suspends. More chunks balance
/// no better and cost more: 8 to a thread made a decoder of 135M weights 13 % slower than one.
public struct RowShares {
    /// What the others may take at the end of a thread's share.
    private static let tail = 0.25

    struct Matrix {
        let rows: Int
        /// Chunks begin at its multiples.
        let granularity: Int
        /// What a row takes, in any unit that the matrices have in common.
        let rowCost: Double
    }

    /// As many for every thread, the first thread's first: what a ``WorkerPool`` with so many threads gives each of
    /// them. Some are empty.
    public let chunks: [RowChunk]

    /// Shares of the matrices' products with one input.
    public init(of matrices: [PackedMatrix], threadCount: Int) {
        self.init(
            of: matrices.map { Matrix(rows: $0.rows, granularity: $0.rowGranularity, rowCost: Double($0.columns)) },
            threadCount: threadCount)
    }

    /// Shares of two matrices of one shape, the same rows of both in one chunk.
    public init(ofRowsOf first: PackedMatrix, and second: PackedMatrix, threadCount: Int) {
        precondition(first.rows == second.rows)
        // Each granularity divides the larger ones.
        let granularity = max(first.rowGranularity, second.rowGranularity)
        self.init(of: [Matrix(rows: first.rows, granularity: granularity, rowCost: 1)], threadCount: threadCount)
    }

    init(of matrices: [Matrix], threadCount: Int) {
        let total = matrices.reduce(0) { $0 + Double($1.rows) * $1.rowCost }
        let share = total / Double(threadCount)
        let starts = (0...threadCount).map { Self.place(at: Double($0) * share, of: matrices) }
        let tails = (0..<threadCount).map { Self.place(at: (Double($0) + 1 - Self.tail) * share, of: matrices) }
        let shares = (0..<threadCount).map { thread in
            Self.chunks(from: starts[thread], to: tails[thread], of: matrices)
                + Self.chunks(from: tails[thread], to: starts[thread + 1], of: matrices)
        }
        let count = shares.map(\.count).max() ?? 0
        chunks = shares.flatMap { share in
            Array(repeating: RowChunk(matrix: 0, rows: 0..<0), count: count - share.count) + share
        }
    }

    /// Rows of all matrices before the one at which so much has been done.
    private static func place(at cost: Double, of matrices: [Matrix]) -> Int {
        var (rest, before) = (cost, 0)
        for matrix in matrices {
            let all = Double(matrix.rows) * matrix.rowCost
            if rest < all {
                let pieces = (rest / matrix.rowCost / Double(matrix.granularity)).rounded()
                return before + min(Int(pieces) * matrix.granularity, matrix.rows)
            }
            rest -= all
            before += matrix.rows
        }
        return before
    }

    private static func chunks(from start: Int, to end: Int, of matrices: [Matrix]) -> [RowChunk] {
        var before = 0
        return matrices.enumerated().compactMap { index, matrix in
            defer { before += matrix.rows }
            let rows = (max(start, before) - before..<max(end, before) - before).clamped(to: 0..<matrix.rows)
            return rows.isEmpty ? nil : RowChunk(matrix: index, rows: rows)
        }
    }
}
