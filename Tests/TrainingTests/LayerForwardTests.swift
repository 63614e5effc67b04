import Checkpoints
import LinearAlgebra
import ModelFixtures
import Sparse
import Tensors
import TestSupport
import Training
import Transformer
import Testing

/// The layers in float32 against the decoder that runs models, which is compared with transformers.
@Suite struct LayerForwardTests {
    private let pool = WorkerPool(threadCount: 2)

    /// The residual stream behind all layers: `[sequences * length, hiddenSize]`.
    private func stream(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, _ sequences: [[Int32]]
    ) throws -> Matrix {
        let (length, hidden) = (sequences[0].count, configuration.hiddenSize)
        let forward = LayerForward(configuration, length: length, arithmetic: Arithmetic(pool: pool))
        let table = try Matrix(
            reading: configuration.family.embedding, rows: configuration.vocabularySize, columns: hidden,
            from: checkpoint)
        let tokens = sequences.flatMap(\.self)
        let stream = Matrix(uninitializedRows: tokens.count, columns: hidden)
        for (row, token) in tokens.enumerated() {
            for column in 0..<hidden { stream[row, column] = table[Int(token), column] }
        }
        let buffers = LayerBuffers(configuration, tokens: tokens.count)
        for index in 0..<configuration.layerCount {
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            let arithmetic = forward.arithmetic
            forward.normalize(stream.slice, by: weights.inputNorm, into: buffers.normalized.slice)
            for (weight, output) in [
                (weights.query, buffers.queries), (weights.key, buffers.keys), (weights.value, buffers.values),
            ] {
                arithmetic.multiply(buffers.normalized.slice, transposed: weight.slice, into: output.slice)
            }
            forward.rotate(buffers.queries.slice)
            forward.rotate(buffers.keys.slice)
            forward.attend(
                queries: buffers.queries.slice, keys: buffers.keys.slice, values: buffers.values.slice,
                into: buffers.attended.slice)
            forward.addToStream(
                buffers.attended.slice, by: weights.output, bias: nil, norm: weights.inputNorm, stream.slice,
                scratch: buffers.change.slice)
            forward.normalize(stream.slice, by: weights.postAttentionNorm, into: buffers.normalized.slice)
            arithmetic.multiply(buffers.normalized.slice, transposed: weights.gate!.slice, into: buffers.gate.slice)
            arithmetic.multiply(buffers.normalized.slice, transposed: weights.up.slice, into: buffers.up.slice)
            forward.activate(gate: buffers.gate.slice, up: buffers.up.slice)
            forward.addToStream(
                buffers.gate.slice, by: weights.down, bias: nil, norm: weights.postAttentionNorm, stream.slice,
                scratch: buffers.change.slice)
        }
        return stream
    }

    /// Logits of the decoder after every token of one sequence.
    private func logits(
        _ weights: DecoderWeights, _ configuration: ModelConfiguration, _ tokens: [Int32]
    ) throws -> [[Float]] {
        let cache = KeyValueCache(configuration: configuration, blockCount: (tokens.count + 15) / 16, element: .f32)
        let decoder = Decoder(
            configuration: configuration,
            backend: CPUBackend(
                configuration: configuration, weights: weights, cache: cache, pool: pool, kernels: .best,
                maximumBatchTokens: tokens.count, maximumLogitsTokens: tokens.count))
        var batch = Batch()
        batch.append(tokens: tokens[...], firstPosition: 0, blocks: 0..<Int32(cache.blockCount))
        try decoder.forward(batch)
        let all = try decoder.logits(ofTokens: Array(tokens.indices))
        let vocabulary = configuration.vocabularySize
        return tokens.indices.map { Array(all[$0 * vocabulary..<($0 + 1) * vocabulary]) }
    }

    @Test(arguments: [1, 2, 33, 150]) func equalsTheDecoder(length: Int) throws {
        let model = try GroupedModel()
        let (checkpoint, configuration) = (model.checkpoint, model.configuration)
        var generator = SplitMix64(seed: 3)
        let sequences = (0..<3).map { _ in
            (0..<length).map { _ in Int32.random(in: 0..<Int32(configuration.vocabularySize), using: &generator) }
        }
        let stream = try stream(checkpoint, configuration, sequences)
        let weights = try DecoderWeights(checkpoint, configuration: configuration, type: .f32, pool: pool)
        // The head, which is not among the layers.
        let forward = LayerForward(configuration, length: length, arithmetic: Arithmetic(pool: pool))
        let norm = try Matrix(
            reading: configuration.family.finalNorm, rows: 1, columns: configuration.hiddenSize, from: checkpoint)
        let table = try Matrix(
            reading: configuration.family.embedding, rows: configuration.vocabularySize,
            columns: configuration.hiddenSize, from: checkpoint)
        let normalized = Matrix(uninitializedRows: stream.rows, columns: stream.columns)
        forward.normalize(stream.slice, by: LayerWeights.Norm(weight: norm), into: normalized.slice)
        let found = Matrix(uninitializedRows: stream.rows, columns: table.rows)
        forward.arithmetic.multiply(normalized.slice, transposed: table.slice, into: found.slice)
        for (index, sequence) in sequences.enumerated() {
            let expected = try logits(weights, configuration, sequence)
            let scale = expected.joined().map(abs).max()!
            for (position, row) in expected.enumerated() {
                for (token, logit) in row.enumerated() {
                    let error = abs(found[index * length + position, token] - logit)
                    #expect(error <= 3e-5 * scale)
                }
            }
        }
    }

    @Test func refusesWhatIsNotFiniteOrMisshapen() throws {
        let scratch = ScratchFolder()
        var model = TinyModel(type: .f32)
        model.planted = ["model.layers.1.mlp.up_proj.weight": (index: 70, value: .nan)]
        try model.write(to: scratch.path("model"))
        let checkpoint = try Checkpoint.open(path: scratch.path("model"))
        let configuration = try ModelConfiguration(checkpoint.configuration)
        _ = try LayerWeights(checkpoint, configuration: configuration, layer: 0)
        let error = #expect(throws: CheckpointError.self) {
            _ = try LayerWeights(checkpoint, configuration: configuration, layer: 1)
        }
        #expect(error?.description.contains("mlp.up_proj") == true)
        #expect(throws: CheckpointError.self) {
            _ = try Matrix(reading: configuration.family.finalNorm, rows: 2, columns: 32, from: checkpoint)
        }
    }
}
