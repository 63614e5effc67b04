public import Tensors

/// Zeroes the smallest weights of every output row.
///
/// Comparing within a row, not over the matrix, keeps every output unit alive (as Wanda does, Sun et al.,
/// arXiv:2306.11695, section 3).
public struct MagnitudePruner: Pruner {
    public init() {}

    /// Zeroes `round(sparsity * columns)` weights of each row; of equal magnitudes the ones further left.
    /// - Complexity: O(rows * columns) expected.
    public func prune(_ matrix: PrunableMatrix, sparsity: Double, pool: WorkerPool) {
        precondition(sparsity >= 0 && sparsity < 1, "sparsity \(sparsity)")
        let count = Int((sparsity * Double(matrix.columns)).rounded())
        if count == 0 { return }
        let rowsPerChunk = max(matrix.rows / (pool.threadCount * 8), 1)
        pool.forEachChunk((matrix.rows + rowsPerChunk - 1) / rowsPerChunk) { chunk, _ in
            withUnsafeTemporaryAllocation(of: Float.self, capacity: matrix.columns) { scratch in
                for row in chunk * rowsPerChunk..<min((chunk + 1) * rowsPerChunk, matrix.rows) {
                    let start = row * matrix.columns
                    Self.zeroSmallest(
                        count, of: UnsafeMutableBufferPointer(rebasing: matrix.weights[start..<start + matrix.columns]),
                        scratch: scratch)
                }
            }
        }
    }

    private static func zeroSmallest(
        _ count: Int, of row: UnsafeMutableBufferPointer<Float>, scratch: UnsafeMutableBufferPointer<Float>
    ) {
        for index in row.indices { scratch.initializeElement(at: index, to: row[index].magnitude) }
        let threshold = select(count - 1, of: scratch)
        var remaining = count
        for index in row.indices where row[index].magnitude < threshold {
            row[index] = 0
            remaining -= 1
        }
        for index in row.indices where remaining > 0 && row[index].magnitude == threshold && threshold > 0 {
            row[index] = 0
            remaining -= 1
        }
    }

    /// The element that sorting would put at `rank`; reorders `values`.
    ///
    /// Hoare's quickselect with a median-of-three pivot; weights are finite, so the order is total.
    private static func select(_ rank: Int, of values: UnsafeMutableBufferPointer<Float>) -> Float {
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
