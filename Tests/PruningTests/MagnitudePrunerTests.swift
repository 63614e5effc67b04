import LinearAlgebra
import Pruning
import Tensors
import TestSupport
import Testing

@Suite struct MagnitudePrunerTests {
    private static func pruned(_ weights: [Float], rows: Int, _ target: PruningTarget) -> [Float] {
        let matrix = Matrix(rows: rows, columns: weights.count / rows, weights)
        MagnitudePruner().prune(
            matrix, target: target, arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2)))
        return matrix.array
    }

    /// Few distinct magnitudes, so that there are ties.
    private static func weights(_ count: Int) -> [Float] {
        var generator = SplitMix64(seed: UInt64(count))
        return (0..<count).map { _ in Float(Int.random(in: -20...20, using: &generator)) / 8 }
    }

    /// The naive way: a stable sort by magnitude.
    private static func zeroed(_ count: Int, of group: ArraySlice<Float>) -> [Float] {
        var result = Array(group)
        let order = result.indices.sorted { (result[$0].magnitude, $0) < (result[$1].magnitude, $1) }
        for index in order.prefix(count) { result[index] = 0 }
        return result
    }

    @Test(arguments: [1, 2, 3, 13, 64, 65, 577], [0, 0.1, 0.5, 0.77, 0.99])
    func zeroesTheSmallestOfEveryRow(columns: Int, sparsity: Double) {
        let (rows, weights) = (7, Self.weights(7 * columns))
        let pruned = Self.pruned(weights, rows: rows, PruningTarget(sparsity: sparsity))
        let count = Int((sparsity * Double(columns)).rounded())
        let expected = (0..<rows).flatMap { Self.zeroed(count, of: weights[$0 * columns..<($0 + 1) * columns]) }
        #expect(pruned == expected)
    }

    @Test(arguments: [1, 13, 64], [0, 0.1, 0.5, 0.99])
    func zeroesTheSmallestOfTheMatrix(columns: Int, sparsity: Double) {
        let weights = Self.weights(7 * columns)
        let pruned = Self.pruned(weights, rows: 7, PruningTarget(sparsity: sparsity, structure: .matrix))
        #expect(pruned == Self.zeroed(Int((sparsity * Double(weights.count)).rounded()), of: weights[...]))
    }

    @Test(arguments: [1, 2, 4, 7, 8, 64, 66]) func zeroesAPattern(columns: Int) {
        for (zeros, size) in [(2, 4), (1, 2), (3, 4), (4, 8), (1, 3)] {
            let weights = Self.weights(5 * columns)
            let target = PruningTarget(sparsity: 0.9, structure: .pattern(zeros: zeros, of: size))
            #expect(target.sparsity == Double(zeros) / Double(size))
            let pruned = Self.pruned(weights, rows: 5, target)
            var expected: [Float] = []
            for row in 0..<5 {
                for first in stride(from: 0, to: columns, by: size) {
                    let group = row * columns + first..<row * columns + min(first + size, columns)
                    expected += Self.zeroed(zeros * group.count / size, of: weights[group])
                }
            }
            #expect(pruned == expected)
        }
    }

    @Test func countsZerosThatAreThere() {
        let pruned = Self.pruned([0, 3, 0, -1, 2, 5], rows: 1, PruningTarget(sparsity: 0.5))
        #expect(pruned == [0, 3, 0, 0, 2, 5])
    }

    @Test func parsesStructures() {
        #expect(MaskStructure("auto") == .automatic && MaskStructure("row") == .row)
        #expect(MaskStructure("matrix") == .matrix && MaskStructure("2:4") == .pattern(zeros: 2, of: 4))
        for text in ["", "rows", "2", "2:", ":4", "4:4", "0:4", "5:4", "-1:4", "2:4:8", "2:65", "a:b"] {
            #expect(MaskStructure(text) == nil, "\(text)")
        }
    }
}
