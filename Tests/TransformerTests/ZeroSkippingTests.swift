import KernelsUnderTest
import ModelFixtures
import Sparse
import Testing

@testable import Transformer

/// Prompts beyond the number of tokens from which products skip the zeros of bitmaps.
@Suite struct ZeroSkippingTests {
    private static func skips(_ open: OpenModel, tokens: Int, kernels: Kernels) -> Bool {
        open.weights.layers.allSatisfy { layer in
            layer.matrices.allSatisfy { $0.prefersTransposedInput(tokens: tokens, kernels: kernels) }
        }
    }

    @Test(arguments: [0.8, 0.95], [150, 128, 131]) func agreesWithDoublePrecision(sparsity: Double, count: Int) throws {
        var model = TinyModel()
        model.sparsity = sparsity
        let tokens = model.randomTokens(count, seed: 11)
        let expected = NaiveDecoder(model).logits(tokens)
        let open = try OpenModel(model, packing: .fixed(.tiledBitmap))
        for kernels in Kernels.underTest {
            #expect(Self.skips(open, tokens: count, kernels: kernels))
            let found = try open.logits(tokens, promptTokens: count, kernels: kernels)
            #expect(
                largestDifference(found, expected) <= PackedModelTests.tolerance, "\(kernels.instructionSet)")
        }
    }

    /// The same model, the same tokens: in one batch, which skips zeros, and in batches too small for it.
    @Test func agreesWithExpansion() throws {
        var model = TinyModel()
        model.sparsity = 0.7
        let tokens = model.randomTokens(200, seed: 12)
        let open = try OpenModel(model, packing: .fixed(.tiledBitmap))
        for kernels in Kernels.underTest {
            #expect(Self.skips(open, tokens: tokens.count, kernels: kernels))
            #expect(!Self.skips(open, tokens: 3, kernels: kernels))
            let skipping = try open.logits(tokens, promptTokens: tokens.count, kernels: kernels)
            let sequence = SingleSequence(open.configuration, open.weights, kernels: kernels)
            var expanding: [[Double]] = []
            for first in stride(from: 0, to: tokens.count, by: 3) {
                let batch = Array(tokens[first..<min(first + 3, tokens.count)])
                try sequence.run(batch)
                expanding += try sequence.logits(Array(batch.indices)).map { $0.map(Double.init) }
            }
            #expect(largestDifference(skipping, expanding) <= PackedModelTests.tolerance)
        }
    }

    /// Matrices of a group with and without so many zeros that skipping pays: each gets what it reads.
    @Test func mixesFormsInOneGroup() throws {
        var model = TinyModel()
        model.sparsity = 0.8
        let tokens = model.randomTokens(120, seed: 13)
        let expected = NaiveDecoder(model).logits(tokens)
        let formats: [PackedFormat] = [.tiledBitmap, .dense, .slicedEllpack]
        let opened = try formats.map { try OpenModel(model, packing: .fixed($0)) }
        let layers = (0..<model.layerCount).map { layer -> DecoderWeights.Layer in
            func matrix(_ place: Int) -> PackedMatrix {
                opened[(layer + place) % 3].weights.layers[layer].matrices[place]
            }
            let norms = opened[0].weights.layers[layer]
            return DecoderWeights.Layer(
                inputNorm: norms.inputNorm, query: matrix(0), key: matrix(1), value: matrix(2), output: matrix(3),
                postAttentionNorm: norms.postAttentionNorm, gate: matrix(4), up: matrix(5), down: matrix(6))
        }
        let first = opened[0].weights
        let mixed = DecoderWeights(
            embedding: first.embedding, layers: layers, finalNorm: first.finalNorm, head: first.head,
            headIsTied: first.headIsTied, rotaryFactors: nil, pendingChecks: PendingChecks([[], [], []]))
        for kernels in Kernels.underTest {
            let sequence = SingleSequence(opened[0].configuration, mixed, kernels: kernels)
            try sequence.run(tokens)
            let found = try sequence.logits(Array(tokens.indices))
            #expect(
                largestDifference(found, expected) <= PackedModelTests.tolerance, "\(kernels.instructionSet)")
        }
    }

    @Test func doesNotDependOnTheNumberOfThreads() throws {
        var model = TinyModel()
        model.sparsity = 0.8
        let tokens = model.randomTokens(201, seed: 14)
        let open = try OpenModel(model, packing: .fixed(.tiledBitmap))
        for kernels in Kernels.underTest {
            let expected = try open.logits(tokens, promptTokens: 200, kernels: kernels, threads: 1)
            for threads in [2, 3, 5] {
                let found = try open.logits(tokens, promptTokens: 200, kernels: kernels, threads: threads)
                #expect(found == expected, "\(kernels.instructionSet), \(threads) threads")
            }
        }
    }
}
