import Checkpoints
import LinearAlgebra
import ModelFixtures
import Sparse
import Tensors
import TestSupport
import Training
import Transformer
import Testing

/// Gradients of a layer against differences of a loss.
@Suite struct LayerBackwardTests {
    private struct Layer {
        let weights: LayerWeights
        let forward: LayerForward
        let input: Matrix
        /// The loss is the sum of the layer's outputs times these.
        let factors: Matrix

        init(
            _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, layer: Int = 0, length: Int, sequences: Int
        ) throws {
            var generator = SplitMix64(seed: 4)
            let count = sequences * length * configuration.hiddenSize
            func random() -> Matrix {
                Matrix(
                    rows: sequences * length, columns: configuration.hiddenSize,
                    (0..<count).map { _ in Float.random(in: -1...1, using: &generator) })
            }
            forward = LayerForward(
                configuration, length: length, arithmetic: Arithmetic(pool: WorkerPool(threadCount: 2)))
            weights = try LayerWeights(checkpoint, configuration: configuration, layer: layer)
            (input, factors) = (random(), random())
        }
    }

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
        let model = try GroupedModel()
        try check(Layer(model.checkpoint, model.configuration, length: shape.0, sequences: shape.1))
    }

    /// Biases, layer norms before and behind, norms of heads, windows, layers without rotation, MLPs without a gate.
    @Test(arguments: FamilyFixture.all) func equalsDifferencesInEveryFamily(fixture: FamilyFixture) throws {
        let checkpoint = try fixture.checkpoint
        let configuration = try ModelConfiguration(checkpoint.configuration)
        let length = min(configuration.maximumContext, 60)
        for layer in 0..<configuration.layerCount {
            try check(Layer(checkpoint, configuration, layer: layer, length: length, sequences: 2), name: "\(layer): ")
        }
    }

    private func check(_ layer: Layer, name prefix: String = "") throws {
        let (weights, input, factors) = (layer.weights, layer.input, layer.factors)
        let pass = LayerBackward(layer.forward, tokens: input.rows)
        let gradients = LayerGradients(like: weights)
        let stream = factors.copy()
        pass.run(weights, input: input)
        pass.goBack(weights, input: input, stream: stream, into: gradients)
        var generator = SplitMix64(seed: 5)
        let projections = weights.gate == nil ? ["up", "down"] : ["gate", "up", "down"]
        let names = ["query", "key", "value", "output"] + projections + ["input"]
        let matrices = Array(zip(weights.projections + [input], gradients.projections + [stream]))
        #expect(names.count == matrices.count)
        for (name, (matrix, gradient)) in zip(names, matrices) {
            // Along the gradient itself, where the slope is its length, and along another direction.
            let length = gradient.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            let size = matrix.elements.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot()
            if layer.forward.length == 1 && (name == "query" || name == "key") {
                // One token attends to itself, whatever its score.
                #expect(length == 0)
                continue
            }
            let along = gradient.elements.map { Float(Double($0) / length) }
            let slopeAlong = slope(along: along, of: matrix, step: Float(size * 2e-3)) {
                loss(pass, weights, input, factors)
            }
            #expect(abs(slopeAlong - length) <= 0.01 * length, "\(prefix)\(name): \(slopeAlong), expected \(length)")
            let random = (0..<along.count).map { _ in Float.random(in: -1...1, using: &generator) }
            let norm = Float(random.reduce(0.0) { $0 + Double($1) * Double($1) }.squareRoot())
            let other = random.map { $0 / norm }
            let expected = zip(other, gradient.elements).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }
            let found = slope(along: other, of: matrix, step: Float(size * 5e-3)) {
                loss(pass, weights, input, factors)
            }
            #expect(
                abs(found - expected) <= 0.01 * length, "\(prefix)\(name): \(found), expected \(expected) of \(length)")
        }
    }
}
