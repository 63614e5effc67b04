import LinearAlgebra
import Pruning
import Tensors
import TestSupport
import Testing

/// Wanda and SparseGPT against the plain formulas in double precision.
@Suite struct CalibratedPrunerTests {
    /// Around the size of SparseGPT's blocks.
    static let shapes = [(3, 5), (16, 64), (9, 127), (8, 129), (5, 300)]

    @Test(arguments: shapes, [0, 0.3, 0.5, 0.8]) func wandaIsTheFormula(shape: (Int, Int), sparsity: Double) throws {
        let (rows, columns) = shape
        let sample = PruningCase(rows: rows, columns: columns, tokens: 70, seed: 1)
        let pruned = try sample.pruned(WandaPruner(), PruningTarget(sparsity: sparsity))
        let count = Int((sparsity * Double(columns)).rounded())
        let norms = (0..<columns).map { column in
            (0..<70).reduce(0.0) { $0 + Double(sample.inputs[$1, column]) * Double(sample.inputs[$1, column]) }
                .squareRoot()
        }
        for row in 0..<rows {
            let scores = (0..<columns).map { Double(sample.weights[row, $0].magnitude) * norms[$0] }
            let cut = (0..<columns).sorted { scores[$0] < scores[$1] }.prefix(count)
            var expected = sample.weights.row(row)
            for column in cut { expected[column] = 0 }
            #expect(pruned.row(row) == expected)
        }
    }

    /// The algorithm as it is written in the paper: the inverse is updated column by column, nothing is blocked but the
    /// choice of the mask.
    private static func naive(_ sample: PruningCase, sparsity: Double) -> [[Double]] {
        let (rows, columns) = (sample.weights.rows, sample.weights.columns)
        var inverse = NaiveAlgebra.inverse(sample.dampedProducts)
        var weights = (0..<rows).map { sample.weights.row($0).map(Double.init) }
        var done = 0
        for first in stride(from: 0, to: columns, by: 128) {
            let block = first..<min(first + 128, columns)
            // What the pivots will be once their turn comes.
            var later = inverse
            var pivots: [Double] = []
            for column in block {
                pivots.append(later[column][column])
                NaiveAlgebra.eliminate(column, from: &later)
            }
            let places = (0..<rows).flatMap { row in block.map { (row, $0) } }
            let costs = places.map { weights[$0.0][$0.1] * weights[$0.0][$0.1] / pivots[$0.1 - first] }
            let wanted = Int((sparsity * Double(rows * block.upperBound)).rounded()) - done
            done += wanted
            let cut = Set(places.indices.sorted { costs[$0] < costs[$1] }.prefix(wanted))
            for column in block {
                for row in 0..<rows where cut.contains(row * block.count + column - first) {
                    let error = weights[row][column] / inverse[column][column]
                    for other in column..<columns { weights[row][other] -= error * inverse[column][other] }
                    weights[row][column] = 0
                }
                NaiveAlgebra.eliminate(column, from: &inverse)
            }
        }
        return weights
    }

    @Test(arguments: shapes, [0.3, 0.5, 0.8]) func sparseGPTIsTheFormula(shape: (Int, Int), sparsity: Double) throws {
        let (rows, columns) = shape
        let sample = PruningCase(rows: rows, columns: columns, tokens: 2 * columns + 10, seed: 2)
        let pruned = try sample.pruned(SparseGPTPruner(), PruningTarget(sparsity: sparsity))
        let expected = Self.naive(sample, sparsity: sparsity)
        var worst = 0.0
        for row in 0..<rows {
            for column in 0..<columns {
                let error = abs(Double(pruned[row, column]) - expected[row][column])
                if !(error <= worst) { worst = error }
            }
        }
        #expect(worst <= 2e-3)
        #expect(pruned.zeroCount == Int((sparsity * Double(rows * columns)).rounded()))
    }

    /// It loses less than methods that leave the other weights alone.
    @Test func methodsAreInTheOrderOfTheirEffort() throws {
        let sample = PruningCase(rows: 48, columns: 160, tokens: 600, seed: 3)
        for structure in [MaskStructure.automatic, .pattern(zeros: 2, of: 4)] {
            let target = PruningTarget(sparsity: 0.5, structure: structure)
            let losses = [
                sample.loss(try sample.pruned(ALPSPruner(), target)),
                sample.loss(try sample.pruned(SparseGPTPruner(), target)),
                sample.loss(try sample.pruned(WandaPruner(), target)),
                sample.loss(try sample.pruned(MagnitudePruner(), target)),
            ]
            #expect(losses[0] < 0.95 * losses[1], "\(losses)")
            #expect(losses[1] < 0.8 * losses[2] && losses[2] < 0.9 * losses[3], "\(losses)")
        }
    }

    @Test(arguments: [MaskStructure.row, .matrix, .pattern(zeros: 2, of: 4), .pattern(zeros: 3, of: 8)])
    func sparsityIsExact(structure: MaskStructure) throws {
        for columns in [64, 150, 300] {
            let sample = PruningCase(rows: 24, columns: columns, tokens: 700, seed: 4)
            let target = PruningTarget(sparsity: 0.6, structure: structure)
            for pruner in [WandaPruner(), SparseGPTPruner(), ALPSPruner()] as [any Pruner] {
                let pruned = try sample.pruned(pruner, target)
                switch structure {
                case .row:
                    let wanted = Int((0.6 * Double(columns)).rounded())
                    for row in 0..<24 { #expect(pruned.row(row).count { $0 == 0 } == wanted) }
                case .pattern(let zeros, let size):
                    for row in 0..<24 {
                        for first in stride(from: 0, to: columns, by: size) {
                            let group = pruned.row(row)[first..<min(first + size, columns)]
                            #expect(group.count { $0 == 0 } == zeros * group.count / size)
                        }
                    }
                default: #expect(pruned.zeroCount == Int((0.6 * Double(24 * columns)).rounded()))
                }
            }
        }
    }

    /// Bit by bit.
    @Test func resultsDoNotDependOnThreads() throws {
        for pruner in [WandaPruner(), SparseGPTPruner(), ALPSPruner()] as [any Pruner] {
            let results = try [1, 3].map { threads in
                try PruningCase(rows: 200, columns: 300, tokens: 900, seed: 5, threads: threads)
                    .pruned(pruner, PruningTarget(sparsity: 0.7)).array
            }
            #expect(results[0] == results[1])
        }
    }

    /// With its zeros fixed, no other weights keep the output better: least squares by normal equations, row by row.
    @Test func alpsFitsTheOtherWeights() throws {
        let sample = PruningCase(rows: 6, columns: 48, tokens: 300, seed: 9)
        var pruner = ALPSPruner()
        pruner.fittingSteps = 60
        let pruned = try sample.pruned(pruner, PruningTarget(sparsity: 0.6))
        var products = (0..<48).map { i in
            (0..<48).map { j in
                (0..<300).reduce(0.0) { $0 + Double(sample.inputs[$1, i]) * Double(sample.inputs[$1, j]) }
            }
        }
        let added = 0.01 * (0..<48).reduce(0.0) { $0 + products[$1][$1] } / 48
        for i in 0..<48 { products[i][i] += added }
        for row in 0..<6 {
            let support = (0..<48).filter { pruned[row, $0] != 0 }
            let inverse = NaiveAlgebra.inverse(support.map { i in support.map { products[i][$0] } })
            let goal = support.map { i in
                (0..<48).reduce(0.0) { $0 + Double(sample.weights[row, $1]) * products[i][$1] }
            }
            for (place, column) in support.enumerated() {
                let expected = zip(inverse[place], goal).reduce(0.0) { $0 + $1.0 * $1.1 }
                let error = abs(Double(pruned[row, column]) - expected)
                #expect(error <= 2e-4)
            }
        }
    }

    @Test func alpsStandsInputsOfZeros() throws {
        let sample = PruningCase(rows: 4, columns: 20, tokens: 50, seed: 10)
        for token in 0..<50 { for column in 0..<20 where column != 7 { sample.inputs[token, column] = 0 } }
        let one = try sample.pruned(ALPSPruner(), PruningTarget(sparsity: 0.5))
        let isFinite = one.array.allSatisfy(\.isFinite)
        #expect(isFinite && one.zeroCount == 40)
        for row in 0..<4 { #expect(abs(one[row, 7] - sample.weights[row, 7]) <= 0.02 * abs(sample.weights[row, 7])) }
        for token in 0..<50 { sample.inputs[token, 7] = 0 }
        let none = try sample.pruned(ALPSPruner(), PruningTarget(sparsity: 0.5))
        #expect(none.zeroCount == 40)
        for row in 0..<4 {
            for column in 0..<20 { #expect([0, sample.weights[row, column]].contains(none[row, column])) }
        }
    }

    /// Inputs that are always zero, or always the same.
    @Test func standsDeadAndEqualInputs() throws {
        let sample = PruningCase(rows: 8, columns: 40, tokens: 200, seed: 6)
        for token in 0..<200 {
            sample.inputs[token, 3] = 0
            sample.inputs[token, 39] = 0
            for column in 10..<20 { sample.inputs[token, column] = sample.inputs[token, 9] }
        }
        let pruned = try sample.pruned(SparseGPTPruner(), PruningTarget(sparsity: 0.5))
        let isFinite = pruned.array.allSatisfy(\.isFinite)
        #expect(isFinite)
        for row in 0..<8 { #expect(pruned[row, 3] == 0 && pruned[row, 39] == 0) }
        #expect(pruned.zeroCount == 160)
        for token in 0..<200 { for column in 0..<40 { sample.inputs[token, column] = 0 } }
        let dead = try sample.pruned(SparseGPTPruner(), PruningTarget(sparsity: 0.5))
        #expect(dead.zeroCount == 320)
    }

    @Test func refusesBrokenInputs() {
        for broken in [Float.nan, .infinity] {
            let sample = PruningCase(rows: 4, columns: 20, tokens: 50, seed: 7)
            sample.inputs[20, 7] = broken
            #expect(throws: PruningError.self) {
                _ = try sample.pruned(SparseGPTPruner(), PruningTarget(sparsity: 0.5))
            }
            #expect(throws: PruningError.self) {
                _ = try sample.pruned(WandaPruner(), PruningTarget(sparsity: 0.5))
            }
            #expect(throws: PruningError.self) {
                _ = try sample.pruned(ALPSPruner(), PruningTarget(sparsity: 0.5))
            }
        }
    }

    @Test func statisticsAddUp() {
        let sample = PruningCase(rows: 1, columns: 70, tokens: 90, seed: 8)
        let squares = sample.statistics(.squares)
        let products = InputStatistics(width: 70, kind: .products, arithmetic: sample.arithmetic)
        products.add(sample.inputs.slice(rows: 0..<40))
        products.add(sample.inputs.slice(rows: 40..<90))
        products.finish()
        #expect(squares.tokenCount == 90 && products.tokenCount == 90)
        for (x, y) in zip(squares.squares, products.squares) {
            let error = abs(x - y)
            #expect(error <= 1e-5 * x)
        }
    }
}

/// Matrices as arrays of rows, in double precision.
enum NaiveAlgebra {
    /// By Gauss and Jordan, without pivoting: for positive definite matrices.
    static func inverse(_ matrix: [[Double]]) -> [[Double]] {
        let size = matrix.count
        var left = matrix
        var right = (0..<size).map { i in (0..<size).map { $0 == i ? 1.0 : 0.0 } }
        for pivot in 0..<size {
            let scale = 1 / left[pivot][pivot]
            for column in 0..<size {
                left[pivot][column] *= scale
                right[pivot][column] *= scale
            }
            for row in 0..<size where row != pivot {
                let factor = left[row][pivot]
                if factor == 0 { continue }
                for column in 0..<size {
                    left[row][column] -= factor * left[pivot][column]
                    right[row][column] -= factor * right[pivot][column]
                }
            }
        }
        return right
    }

    /// Removes one input from an inverse: what the inverse is of the others alone.
    static func eliminate(_ index: Int, from inverse: inout [[Double]]) {
        let size = inverse.count
        let (pivot, row) = (inverse[index][index], inverse[index])
        for i in 0..<size {
            let factor = inverse[i][index] / pivot
            for j in 0..<size { inverse[i][j] -= factor * row[j] }
        }
    }
}
