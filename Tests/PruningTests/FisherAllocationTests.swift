import Checkpoints
import LinearAlgebra
import ModelFixtures
import Tensors
import TestSupport
import Training
import Transformer
import Testing

@testable import Pruning

/// What gradients say of a model's projections, and where zeros go by it.
@Suite struct FisherAllocationTests {
    private let scratch = ScratchFolder()
    private let arithmetic = Arithmetic(pool: WorkerPool(threadCount: 2))

    private func model() throws -> (checkpoint: Checkpoint, configuration: ModelConfiguration) {
        try TinyModel(type: .f32).write(to: scratch.path("model"))
        let checkpoint = try Checkpoint.open(path: scratch.path("model"))
        return (checkpoint, try ModelConfiguration(checkpoint.configuration))
    }

    private func tokens(_ count: Int, length: Int, _ configuration: ModelConfiguration) throws -> CalibrationTokens {
        var generator = SplitMix64(seed: 6)
        return try CalibrationTokens(
            sequences: (0..<count).map { _ in
                (0..<length).map { _ in Int32.random(in: 0..<Int32(configuration.vocabularySize), using: &generator) }
            }, vocabularySize: configuration.vocabularySize)
    }

    /// Inputs are what a walk through the dense model sees; what the last projection gives is added to the stream that
    /// the head reads, so its derivatives are the head's. More than one batch, the last of them smaller.
    @Test func sumsUpInputsAndDerivatives() throws {
        let (checkpoint, configuration) = try model()
        let tokens = try tokens(5, length: 240, configuration)
        var steps: [Int] = []
        let information = try FisherInformation(
            checkpoint, configuration: configuration, tokens: tokens, arithmetic: arithmetic
        ) { done, count in
            #expect(count == 8)
            steps.append(done)
        }
        #expect(steps == Array(1...8))
        let observation = try DenseObservation(
            checkpoint, configuration: configuration, tokens: tokens, arithmetic: arithmetic)
        for (layer, weights) in observation.layers.enumerated() {
            for (place, matrix) in weights.projections.enumerated() {
                let expected = observation.inputs[layer][place].squares.map { $0 / Double(tokens.tokenCount) }
                let found = information.inputs[layer][place]
                #expect(found.count == matrix.columns && information.outputs[layer][place].count == matrix.rows)
                #expect(zip(found, expected).allSatisfy { abs($0 - $1) <= 0.02 * $1 }, "\(layer) \(place)")
                #expect(information.outputs[layer][place].allSatisfy { $0 > 0 })
            }
        }
        let forward = observation.forward
        let head = try DistillationHead(checkpoint, forward: forward)
        var expected = [Double](repeating: 0, count: configuration.hiddenSize)
        for (batch, part) in [tokens.sequences[..<4], tokens.sequences[4...]].enumerated() {
            let stream = LayerStream(
                forward: forward,
                hidden: try checkpoint.embeddings(
                    of: Array(part), configuration: configuration, arithmetic: arithmetic))
            observation.layers.forEach(stream.run)
            let gradient = Matrix(uninitializedRows: stream.hidden.rows, columns: stream.hidden.columns)
            head.drawnGradient(stream.hidden, seed: UInt64(batch), into: gradient)
            for token in 0..<gradient.rows {
                for column in expected.indices {
                    expected[column] += Double(gradient[token, column] * gradient[token, column])
                }
            }
        }
        let found = try #require(information.outputs.last?.last)
        for (found, sum) in zip(found, expected) {
            let mean = sum / Double(tokens.tokenCount)
            #expect(abs(found - mean) <= 0.1 * mean, "\(found), expected \(mean)")
        }
    }

    /// What nothing depends on gets the most zeros, what much depends on the fewest; rows compare by fourth roots.
    @Test func zerosGoWhereAnswersDoNotDependOnThem() throws {
        let (checkpoint, configuration) = try model()
        let layers = try (0..<configuration.layerCount).map {
            try LayerWeights(checkpoint, configuration: configuration, layer: $0).projections
        }
        var outputs = layers.map { $0.map { [Double](repeating: 1, count: $0.rows) } }
        outputs[1][4] = outputs[1][4].map { _ in 0 }
        outputs[0][2] = outputs[0][2].map { _ in 1e6 }
        outputs[0][6][3] = 0
        outputs[0][6][5] = 256
        let information = FisherInformation(
            outputs: outputs, inputs: layers.map { $0.map { [Double](repeating: 1, count: $0.columns) } })
        let plan = try FisherAllocation(
            checkpoint: checkpoint, configuration: configuration, information: information
        ).plans()(0.5)
        var (zeros, weights) = (0.0, 0.0)
        for (layer, matrices) in layers.enumerated() {
            for (place, matrix) in matrices.enumerated() {
                let count = Double(matrix.rows * matrix.columns)
                zeros += plan.sparsities[layer][place] * count
                weights += count
            }
        }
        #expect(abs(zeros / weights - 0.5) <= 1e-6)
        #expect(abs(plan.sparsities[1][4] - 0.7) <= 1e-9 && abs(plan.sparsities[0][2] - 0.3) <= 1e-9)
        let scales = try #require(plan.rowScales)
        #expect(scales[1][4].allSatisfy { $0 == 1 } && scales[0][2].allSatisfy { abs($0 - 1) <= 1e-6 })
        #expect(scales[0][6][3] > 0 && scales[0][6][3] < 0.05)
        #expect(abs(scales[0][6][5] / scales[0][6][4] - 4) <= 1e-5)
    }

    @Test func isUsualForMethodsThatMoveWeights() throws {
        let usual = SparsityAllocation.usual
        #expect(usual(.sparsegpt, .automatic) == .fisher && usual(.alps, .row) == .fisher)
        #expect(usual(.magnitude, .automatic) == .uniform && usual(.wanda, .matrix) == .uniform)
        #expect(usual(.sparsegpt, .pattern(zeros: 2, of: 4)) == .uniform)
    }
}
