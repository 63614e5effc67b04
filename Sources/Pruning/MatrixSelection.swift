import LinearAlgebra
import Synchronization
import Tensors

/// Which elements of a matrix are the least in magnitude, found by counting: twice over all elements, on all threads.
///
/// The bits of two magnitudes are in the order of the magnitudes, so a histogram of their upper halves says in which
/// bin the limit lies, and one of that bin's lower halves where exactly.
struct MatrixSelection {
    /// The bits of the largest magnitude that is among the least.
    private let limit: UInt32
    /// Elements of just that magnitude that are among the least: the first ones, row by row.
    private let tieCount: Int

    private static let bins = 1 << 16

    /// - Parameter count: elements that are to be among the least. NaN counts as more than any number.
    /// - Complexity: O(elements).
    init(least count: Int, of matrix: MatrixSlice, arithmetic: Arithmetic) {
        precondition(count >= 0 && count <= matrix.rows * matrix.columns)
        guard count > 0 else {
            (limit, tieCount) = (0, 0)
            return
        }
        let upper = Self.histogram(of: matrix, arithmetic: arithmetic) { Int($0 >> 16) }
        let (bin, before) = Self.bin(ofRank: count - 1, in: upper)
        let lower = Self.histogram(of: matrix, arithmetic: arithmetic) {
            Int($0 >> 16) == bin ? Int($0 & 0xFFFF) : nil
        }
        let (place, within) = Self.bin(ofRank: count - 1 - before, in: lower)
        limit = UInt32(bin << 16 | place)
        tieCount = count - before - within
    }

    private static func bin(ofRank rank: Int, in histogram: [Int]) -> (bin: Int, before: Int) {
        var before = 0
        for (bin, count) in histogram.enumerated() {
            if before + count > rank { return (bin, before) }
            before += count
        }
        preconditionFailure("rank \(rank) of \(before) elements")
    }

    private static func histogram(
        of matrix: MatrixSlice, arithmetic: Arithmetic, bin: (UInt32) -> Int?
    ) -> [Int] {
        let total = Mutex([Int](repeating: 0, count: bins))
        let tasks = min(arithmetic.pool.threadCount, matrix.rows)
        arithmetic.pool.forEachChunk(tasks) { task, _ in
            var counts = [Int32](repeating: 0, count: bins)
            for row in matrix.rows * task / tasks..<matrix.rows * (task + 1) / tasks {
                let elements = matrix.row(row)
                for column in 0..<matrix.columns {
                    if let bin = bin(elements[column].bitPattern & 0x7FFF_FFFF) { counts[bin] += 1 }
                }
            }
            total.withLock { total in
                for index in 0..<bins { total[index] += Int(counts[index]) }
            }
        }
        return total.withLock { $0 }
    }

    /// Sets the elements of `target` to zero where those of `matrix` are among the least, and to those of `matrix`
    /// where they are not.
    func keepOthers(of matrix: MatrixSlice, in target: MatrixSlice, arithmetic: Arithmetic) {
        let limit = limit
        let hasTies = AlignedBuffer<Bool>(repeating: false, count: matrix.rows)
        arithmetic.forEachRow(of: matrix) { row in
            let (from, to) = (matrix.row(row), target.row(row))
            var ties = 0
            for column in 0..<matrix.columns {
                let bits = from[column].bitPattern & 0x7FFF_FFFF
                to[column] = bits < limit ? 0 : from[column]
                ties &+= bits == limit ? 1 : 0
            }
            hasTies.pointer[row] = ties > 0
        }
        var left = tieCount
        for row in 0..<matrix.rows where left > 0 && hasTies.pointer[row] {
            for column in 0..<matrix.columns
            where left > 0 && matrix.row(row)[column].bitPattern & 0x7FFF_FFFF == limit {
                target.row(row)[column] = 0
                left -= 1
            }
        }
    }
}

extension PruningTarget {
    /// The elements of `matrix` without the least of each group, in `target`: the nearest matrix that has the zeros
    /// that are asked for. The structure is not automatic.
    func project(_ matrix: MatrixSlice, into target: MatrixSlice, arithmetic: Arithmetic) {
        if structure == .matrix {
            let count = zeroCount(of: matrix.rows * matrix.columns)
            MatrixSelection(least: count, of: matrix, arithmetic: arithmetic)
                .keepOthers(of: matrix, in: target, arithmetic: arithmetic)
            return
        }
        arithmetic.copy(matrix, into: target)
        forEachZero(rows: matrix.rows, columns: matrix.columns, arithmetic: arithmetic) { row, scores in
            for column in 0..<matrix.columns { scores[column] = matrix.row(row)[column].magnitude }
        } _: { row, column in
            target.row(row)[column] = 0
        }
    }
}
