import Checkpoints
import LinearAlgebra
import Sparse
import Tensors
import TestSupport
import Training
import Transformer
import Testing

/// Gradients of a layer against differences of a loss.
@Suite struct LayerBackwardTests {
    private func setUp(
        length: Int, sequences: Int, threads: Int = 2
    ) throws -> (weights: LayerWeights, forward: LayerForward, input: Matrix, loss: Matrix) {
        let model = try GroupedModel()
        let (checkpoint, configuration) = (model.checkpoint, model.configuration)
        var generator = SplitMix64(seed: 4)
        func random(_ scale: Float) -> Matrix {
            let (rows, columns) = (sequences * length, configuration.hiddenSize)
            return Matrix(
                rows: rows, columns: columns,
                (0..<rows * columns).map { _ in Float.random(in: -scale...scale, using: &generator) })
        }
        let forward = LayerForward(
            configuration, length: length, arithmetic: Arithmetic(pool: WorkerPool(threadCount: threads)))
        return (
            try LayerWeights(checkpoint, configuration: configuration, layer: 0), forward, random(1), random(1)
        )
    }

    /// The loss: the sum of the layer's outputs times some numbers, its derivative by the outputs.
    private func loss(_ pass: LayerBackward, _ weights: LayerWeights, _ input: Matrix, _ factors: Matrix) -> Double {
        let output = Matrix(uninitializedRows: input.rows, columns: input.columns)
        pass.run(weights, input: input, output: output)
        var sum = 0.0
        for row in 0..<input.rows {
            for column in 0..<input.columns { sum += Double(output[row, column]) * Double(factors[row, column]) }
        }
        return sum
    }

    /// How the loss changes along a direction, by a difference: `matrix` is put back.
    private func slope(along direction: [Float], of matrix: Matrix, step: Float, _ loss: () -> Double) -> Double {
        let before = matrix.copy()
        func move(_ factor: Float) -> Double {
            for (index, value) in direction.enumerated() {
                matrix.elements[index] = before.elements[index] + factor * value
            }
            return loss()
        }
        let (above, below) = (move(step), move(-step))
        _ = move(0)
        return (above - below) / (2 * Double(step))
    }

    @Test(arguments: [(1, 1), (5, 2), (40, 3), (150, 1)]) func equalsDifferences(shape: (Int, Int)) throws {
        let (weights, forward, input, factors) = try setUp(length: shape.0, sequences: shape.1)
        let pass = LayerBackward(forward, tokens: input.rows)
        let gradients = LayerGradients(like: weights)
        let stream = factors.copy()
        pass.run(weights, input: input)
        pass.goBack(weights, input: input, stream: stream, into: gradients)
        var generator = SplitMix64(seed: 5)
        let names = ["query", "key", "value", "output", "gate", "up", "down", "input"]
        let matrices = Array(zip(weights.projections + [input], gradients.projections + [stream]))
        for (name, (matrix, gradient)) in zip(names, matrices) {
            // Along the gradient itself, where the slope is its length, and along another direction.
            let length = gradient.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let size = matrix.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            if shape.0 == 1 && (name == "query" || name == "key") {
                // One token attends to itself, whatever its score.
                #expect(length == 0)
                continue
            }
            let along = gradient.elements.map { Float(Double($0) / length) }
            let slopeAlong = slope(along: along, of: matrix, step: Float(size * 2e-3)) {
                loss(pass, weights, input, factors)
            }
            #expect(abs(slopeAlong - length) <= 0.01 * length, "\(name): \(slopeAlong), expected \(length)")
            let random = (0..<along.count).map { _ in Float.random(in: -1...1, using: &generator) }
            let norm = Float(random.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot())
            let other = random.map { $0 / norm }
            let expected = zip(other, gradient.elements).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            let found = slope(along: other, of: matrix, step: Float(size * 5e-3)) {
                loss(pass, weights, input, factors)
            }
            #expect(abs(found - expected) <= 0.01 * length, "\(name): \(found), expected \(expected) of \(length)")
        }
    }
}
