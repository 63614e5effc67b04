import LinearAlgebra
import Pruning
import Tensors
import TestSupport

/// A matrix and inputs of it, whose columns depend on each other and differ in size.
struct PruningCase {
    let weights: Matrix
    let inputs: Matrix
    let arithmetic: Arithmetic

    init(rows: Int, columns: Int, tokens: Int, seed: UInt64, threads: Int = 2) {
        var generator = SplitMix64(seed: seed)
        arithmetic = Arithmetic(pool: WorkerPool(threadCount: threads))
        weights = Matrix(
            rows: rows, columns: columns, (0..<rows * columns).map { _ in Float.random(in: -1...1, using: &generator) })
        inputs = Matrix(uninitializedRows: tokens, columns: columns)
        for token in 0..<tokens {
            var last: Float = 0
            for column in 0..<columns {
                last = 0.6 * last + Float.random(in: -1...1, using: &generator)
                inputs[token, column] = last * (1 + Float(column % 5))
            }
        }
    }

    func statistics(_ kind: InputStatistics.Kind) -> InputStatistics {
        let statistics = InputStatistics(width: inputs.columns, kind: kind, arithmetic: arithmetic)
        statistics.add(inputs.slice)
        statistics.finish()
        return statistics
    }

    /// The mean products of inputs, with a hundredth of the mean square added to every square, in double precision.
    var dampedProducts: [[Double]] {
        let columns = inputs.columns
        var products = (0..<columns).map { i in
            (0..<columns).map { j in
                (0..<inputs.rows).reduce(0.0) { $0 + Double(inputs[$1, i]) * Double(inputs[$1, j]) }
                    / Double(inputs.rows)
            }
        }
        let mean = (0..<columns).reduce(0.0) { $0 + products[$1][$1] } / Double(columns)
        for i in 0..<columns { products[i][i] += 0.01 * mean }
        return products
    }

    func pruned(_ pruner: some Pruner, _ target: PruningTarget) throws -> Matrix {
        let result = weights.copy()
        try pruner.prune(
            result, inputs: pruner.needs == .nothing ? nil : statistics(pruner.needs), target: target,
            arithmetic: arithmetic)
        return result
    }

    /// The squared change of the output.
    func loss(_ changed: Matrix) -> Double {
        var sum = 0.0
        for token in 0..<inputs.rows {
            for row in 0..<weights.rows {
                var output = 0.0
                for column in 0..<weights.columns {
                    output += Double(weights[row, column] - changed[row, column]) * Double(inputs[token, column])
                }
                sum += output * output
            }
        }
        return sum
    }
}

extension Matrix {
    func row(_ index: Int) -> [Float] { (0..<columns).map { self[index, $0] } }
    var array: [Float] { (0..<rows).flatMap(row) }
    var zeroCount: Int { array.count { $0 == 0 } }
}
