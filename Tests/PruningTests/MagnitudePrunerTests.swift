import Pruning
import TestSupport
import Tensors
import Testing

@Suite struct MagnitudePrunerTests {
    private static func pruned(_ weights: [Float], rows: Int, sparsity: Double) -> [Float] {
        var weights = weights
        weights.withUnsafeMutableBufferPointer { buffer in
            let matrix = PrunableMatrix(rows: rows, columns: buffer.count / rows, weights: buffer)
            MagnitudePruner().prune(matrix, sparsity: sparsity, pool: WorkerPool(threadCount: 2))
        }
        return weights
    }

    @Test(arguments: [1, 2, 3, 13, 64, 65, 577], [0, 0.1, 0.5, 0.77, 0.99])
    func zeroesTheSmallestOfEveryRow(columns: Int, sparsity: Double) {
        var generator = SplitMix64(seed: UInt64(columns))
        let rows = 7
        // Few distinct magnitudes, so that there are ties.
        let weights = (0..<rows * columns).map { _ in Float(Int.random(in: -20...20, using: &generator)) / 8 }
        let pruned = Self.pruned(weights, rows: rows, sparsity: sparsity)
        let count = Int((sparsity * Double(columns)).rounded())
        for row in 0..<rows {
            let before = Array(weights[row * columns..<(row + 1) * columns])
            let after = Array(pruned[row * columns..<(row + 1) * columns])
            // The naive way: a stable sort by magnitude.
            let order = before.indices.sorted {
                (before[$0].magnitude, $0) < (before[$1].magnitude, $1)
            }
            var expected = before
            for index in order.prefix(count) { expected[index] = 0 }
            #expect(after == expected)
        }
    }

    @Test func countsZerosThatAreThere() {
        let pruned = Self.pruned([0, 3, 0, -1, 2, 5], rows: 1, sparsity: 0.5)
        #expect(pruned == [0, 3, 0, 0, 2, 5])
    }
}
