import KernelsUnderTest
import OrderedJSON
import Sparse
import Tensors
import Testing
import ModelFixtures

@testable import Transformer

/// The shapes and rotations that families come in, against a decoder in double precision.
@Suite struct ModelShapeTests {
    private static func check(_ model: TinyModel, frequencies: [Double]? = nil) throws {
        let tokens = model.randomTokens(21, seed: 3)
        let expected = NaiveDecoder(model, frequencies: frequencies).logits(tokens)
        let open = try OpenModel(model)
        for kernels in Kernels.underTest {
            let found = try open.logits(tokens, promptTokens: 18, kernels: kernels)
            let error = largestDifference(found, expected)
            #expect(error <= PackedModelTests.tolerance, "\(kernels.instructionSet)")
        }
    }

    @Test(arguments: [8, 16, 64, 80], [(4, 4), (6, 2), (3, 1)])
    func supportsHeads(size: Int, counts: (heads: Int, keyValueHeads: Int)) throws {
        var model = TinyModel()
        model.headSize = size
        model.headCount = counts.heads
        model.keyValueHeadCount = counts.keyValueHeads
        try Self.check(model)
    }

    @Test func supportsTiedHeads() throws {
        var model = TinyModel()
        model.tiesHead = true
        try Self.check(model)
        #expect(try OpenModel(model).weights.headIsTied)
        model.tiesHead = false
        #expect(try !OpenModel(model).weights.headIsTied)
    }

    @Test(arguments: [(1, 1), (2, 5), (16, 16), (33, 31), (128, 64), (130, 257)])
    func supportsWidths(widths: (hidden: Int, inner: Int)) throws {
        var model = TinyModel()
        model.hiddenSize = widths.hidden
        model.intermediateSize = widths.inner
        try Self.check(model)
    }

    @Test func stretchesPositionsLinearly() throws {
        var model = TinyModel()
        model.configurationChanges = [("rope_scaling", ["type": "linear", "factor": 4])]
        let frequencies = RotaryTests.frequencies(base: 10_000, headSize: model.headSize).map { $0 / 4 }
        try Self.check(model, frequencies: frequencies)
    }

    @Test func stretchesPositionsAsLlama3() throws {
        var model = TinyModel()
        model.headSize = 64
        let scaling: JSON = [
            "rope_type": "llama3", "factor": 8, "low_freq_factor": 1, "high_freq_factor": 4,
            "original_max_position_embeddings": 64,
        ]
        model.configurationChanges = [("rope_theta", 500_000), ("rope_scaling", scaling)]
        let frequencies = RotaryTests.frequencies(base: 500_000, headSize: 64).map {
            RotaryTests.llama3($0, factor: 8, low: 1, high: 4, context: 64)
        }
        try Self.check(model, frequencies: frequencies)
    }

    @Test func refusesTokensOutsideTheVocabulary() throws {
        let model = TinyModel()
        let open = try OpenModel(model)
        let sequence = SingleSequence(open.configuration, open.weights)
        for token in [Int32(TinyTokenizer.vocabularySize), -1, .max, .min] {
            #expect(throws: ModelError("token id", expected: "0..<320", found: "\(token)")) {
                try sequence.run([1, token])
            }
        }
    }
}
