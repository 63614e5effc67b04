import LinearAlgebra

/// Finding the least of some scores.
enum Selection {
    /// Calls `body` with the places of the `count` least scores, in their order; of equal ones the first count as less.
    /// NaN counts as more than any number.
    /// - Parameter scratch: as many elements as scores; overwritten.
    /// - Complexity: O(scores) expected.
    static func forEachLeast(
        _ count: Int, of scores: UnsafeBufferPointer<Float>, scratch: UnsafeMutableBufferPointer<Float>,
        _ body: (Int) -> Void
    ) {
        precondition(count >= 0 && count <= scores.count && scratch.count >= scores.count)
        if count == 0 { return }
        for index in scores.indices { scratch[index] = scores[index].isNaN ? .infinity : scores[index] }
        let values = UnsafeMutableBufferPointer(rebasing: scratch[..<scores.count])
        let threshold = value(ofRank: count - 1, in: values)
        var ties = count
        for score in scores where score < threshold { ties -= 1 }
        for (index, score) in scores.enumerated() {
            if score < threshold {
                body(index)
            } else if ties > 0 && !(score > threshold) {
                ties -= 1
                body(index)
            }
        }
    }

    /// The element that sorting would put at `rank`; reorders `values`.
    ///
    /// Hoare's quickselect with a median-of-three pivot; there is no NaN, so the order is total.
    static func value(ofRank rank: Int, in values: UnsafeMutableBufferPointer<Float>) -> Float {
        var low = 0
        var high = values.count - 1
        while low < high {
            let middle = low + (high - low) / 2
            let pivot = max(
                min(values[low], values[middle]), min(max(values[low], values[middle]), values[high]))
            var left = low
            var right = high
            while left <= right {
                while values[left] < pivot { left += 1 }
                while values[right] > pivot { right -= 1 }
                if left <= right {
                    values.swapAt(left, right)
                    left += 1
                    right -= 1
                }
            }
            if rank <= right {
                high = right
            } else if rank >= left {
                low = left
            } else {
                break
            }
        }
        return values[rank]
    }
}

extension PruningTarget {
    /// Calls `body` with the row and column of every weight that becomes zero: those of the least scores within each
    /// group of the structure, which is not automatic. Rows may come on several threads, each whole on one of them.
    /// - Parameter score: of a row's weights, into the given memory.
    func forEachZero(
        rows: Int, columns: Int, arithmetic: Arithmetic,
        score: (_ row: Int, _ scores: UnsafeMutablePointer<Float>) -> Void, _ body: (Int, Int) -> Void
    ) {
        if structure == .matrix {
            let scores = Matrix(uninitializedRows: rows, columns: columns)
            arithmetic.forEachRow(of: scores.slice) { score($0, scores.pointer + $0 * columns) }
            let scratch = Matrix(uninitializedRows: rows, columns: columns)
            withExtendedLifetime((scores, scratch)) {
                Selection.forEachLeast(
                    zeroCount(of: rows * columns), of: UnsafeBufferPointer(scores.elements), scratch: scratch.elements
                ) { body($0 / columns, $0 % columns) }
            }
            return
        }
        let rowsPerTask = max(min(rows / (arithmetic.pool.threadCount * 8), (1 << 18) / columns), 1)
        arithmetic.pool.forEachChunk((rows + rowsPerTask - 1) / rowsPerTask) { task, _ in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * columns) { memory in
                let scores = UnsafeMutableBufferPointer(rebasing: memory[..<columns])
                let scratch = UnsafeMutableBufferPointer(rebasing: memory[columns...])
                for row in task * rowsPerTask..<min((task + 1) * rowsPerTask, rows) {
                    score(row, scores.baseAddress!)
                    forEachZero(inRow: UnsafeBufferPointer(scores), scratch: scratch) { body(row, $0) }
                }
            }
        }
    }

    /// The same within one row.
    func forEachZero(
        inRow scores: UnsafeBufferPointer<Float>, scratch: UnsafeMutableBufferPointer<Float>, _ body: (Int) -> Void
    ) {
        guard case .pattern(let zeros, let size) = structure else {
            return Selection.forEachLeast(zeroCount(of: scores.count), of: scores, scratch: scratch, body)
        }
        for first in stride(from: 0, to: scores.count, by: size) {
            let group = first..<min(first + size, scores.count)
            Selection.forEachLeast(
                zeros * group.count / size, of: UnsafeBufferPointer(rebasing: scores[group]), scratch: scratch
            ) { body(first + $0) }
        }
    }
}
