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
