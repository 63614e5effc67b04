import LinearAlgebra
import Pruning
import Sparse
import Tensors
import TestSupport
import Testing

/// Weights of few bits, with zeros that stay.
@Suite struct ValueRoundingTests {
    static let grids = [QuantizedCoding.i8, .i4].flatMap { coding in
        ScaleGroup.allCases.map { ValueGrid(coding: coding, group: $0) }
    }

    private func rounded(_ weights: Matrix, _ sample: PruningCase, _ grid: ValueGrid) throws -> Matrix {
        let result = weights.copy()
        try ValueRounding(grid).round(result, inputs: sample.statistics(.products), arithmetic: sample.arithmetic)
        return result
    }

    /// `pack` finds the integers and scales that these are, and f16 holds them.
    @Test(arguments: grids) func packingLosesNothing(grid: ValueGrid) throws {
        for (columns, sparsity) in [(31, 0.0), (64, 0.5), (300, 0.7), (384, 0.9)] {
            let sample = PruningCase(rows: 20, columns: columns, tokens: 2 * columns, seed: 1)
            let pruned = try sample.pruned(SparseGPTPruner(), PruningTarget(sparsity: sparsity))
            let result = try rounded(pruned, sample, grid)
            #expect(result.array.allSatisfy { Float(Float16($0)) == $0 })
            for (before, after) in zip(pruned.array, result.array) where before == 0 { #expect(after == 0) }
            let packed = try QuantizedMatrix(
                DenseMatrix(rows: 20, columns: columns, element: .f32, bytes: Storage(result.array).bytes),
                coding: grid.coding, group: grid.group)
            #expect(packed.dequantized().elementsEqual(result.array))
        }
    }

    /// Column by column in double precision, the inverse updated after each.
    private static func naive(_ pruned: Matrix, _ sample: PruningCase, _ grid: ValueGrid) -> [[Double]] {
        let (rows, columns) = (pruned.rows, pruned.columns)
        var inverse = NaiveAlgebra.inverse(sample.dampedProducts)
        var weights = (0..<rows).map { pruned.row($0).map(Double.init) }
        var scales = [Float](repeating: 0, count: rows)
        let groupColumns = grid.groupColumns(inRowOf: columns)
        for column in 0..<columns {
            for row in 0..<rows {
                if column % groupColumns == 0 {
                    let group = (column..<min(column + groupColumns, columns)).map {
                        pruned[row, $0] == 0 ? 0 : Float(weights[row][$0])
                    }
                    scales[row] = group.withUnsafeBufferPointer { grid.scale(of: $0) }
                }
                let value =
                    pruned[row, column] == 0
                    ? 0 : Double(grid.nearest(Float(weights[row][column]), scale: scales[row]))
                let error = (weights[row][column] - value) / inverse[column][column]
                for other in column..<columns { weights[row][other] -= error * inverse[column][other] }
                weights[row][column] = value
            }
            NaiveAlgebra.eliminate(column, from: &inverse)
        }
        return weights
    }

    /// A weight in the middle between two values may be rounded either way, and others after it, or a group may get
    /// another scale.
    @Test(arguments: [(9, 127), (5, 300)], [ScaleGroup.columns32, .columns128, .row])
    func isTheFormula(shape: (Int, Int), group: ScaleGroup) throws {
        let (rows, columns) = shape
        let grid = ValueGrid(coding: .i4, group: group)
        let sample = PruningCase(rows: rows, columns: columns, tokens: 2 * columns + 10, seed: 2)
        let pruned = try sample.pruned(SparseGPTPruner(), PruningTarget(sparsity: 0.5))
        let found = try rounded(pruned, sample, grid)
        let expected = Self.naive(pruned, sample, grid)
        var others = 0
        for row in 0..<rows {
            for column in 0..<columns where !(abs(Double(found[row, column]) - expected[row][column]) <= 1e-4) {
                others += 1
            }
        }
        #expect(others * 10 <= rows * columns, "\(others) of \(rows * columns)")
        let plain = Matrix(rows: rows, columns: columns, expected.flatMap { $0.map(Float.init) })
        let losses = (found: sample.loss(found), expected: sample.loss(plain))
        #expect(abs(losses.found - losses.expected) <= 0.03 * losses.expected, "\(losses)")
    }

    @Test(arguments: [QuantizedCoding.i8, .i4]) func losesLessThanTheNearestValues(coding: QuantizedCoding) throws {
        let grid = ValueGrid(coding: coding, group: .columns128)
        let sample = PruningCase(rows: 48, columns: 256, tokens: 900, seed: 3)
        let pruned = try sample.pruned(ALPSPruner(), PruningTarget(sparsity: 0.5))
        let nearest = pruned.copy()
        for row in 0..<48 {
            for first in stride(from: 0, to: 256, by: 128) {
                let scale = pruned.row(row)[first..<first + 128].withUnsafeBufferPointer { grid.scale(of: $0) }
                for column in first..<first + 128 {
                    nearest[row, column] = grid.nearest(pruned[row, column], scale: scale)
                }
            }
        }
        func loss(_ changed: Matrix) -> Double { sample.loss(changed) - sample.loss(pruned) }
        let (swept, plain) = (loss(try rounded(pruned, sample, grid)), loss(nearest))
        #expect(swept < 0.9 * plain, "\(swept), nearest \(plain)")
    }

    @Test func resultsDoNotDependOnThreads() throws {
        let results = try [1, 3].map { threads in
            let sample = PruningCase(rows: 200, columns: 300, tokens: 900, seed: 5, threads: threads)
            return try rounded(sample.weights, sample, ValueGrid(coding: .i4, group: .columns64)).array
        }
        #expect(results[0] == results[1])
    }
}
