import Checkpoints
import KernelsUnderTest
import ModelFixtures
import Sparse
import Testing

@testable import Transformer

/// Whole models with integer weights against a decoder in double precision with the very weights that are stored: what
/// remains is the quantisation of the activations.
@Suite struct QuantizedModelTests {
    static let choices: [ValueChoice] = QuantizedCoding.allCases.flatMap { coding in
        ScaleGroup.allCases.map { ValueChoice.quantized(coding, $0) }
    }

    /// 2^-12 of a group's largest activation in each of the products, or 2^-8. Found: 0.086 with i8.
    static func tolerance(_ values: ValueChoice) -> Double {
        if case .quantized(.i16, _) = values { 5e-3 } else { 0.15 }
    }

    /// The weights that a packed folder holds instead of the model's.
    private static func storedWeights(_ model: TinyModel, _ open: OpenModel) throws -> [String: [Float]] {
        let checkpoint = try Checkpoint.open(path: open.folder.path + "/packed")
        let packed = try #require(try PackedWeights(checkpoint))
        var weights: [String: [Float]] = [:]
        for name in packed.manifest.matrices.keys {
            if case .quantized(let matrix) = try packed.matrix(name) { weights[name] = Array(matrix.dequantized()) }
        }
        return weights
    }

    @Test(arguments: choices, [0, 0.6]) func agreesWithDoublePrecision(values: ValueChoice, sparsity: Double) throws {
        var model = TinyModel()
        model.sparsity = sparsity
        let tokens = model.randomTokens(24, seed: 7)
        for choice in [FormatChoice.smallest, .fixed(.dense), .fixed(.tiledBitmap)] {
            let open = try OpenModel(model, packing: choice, values: values)
            let weights = try Self.storedWeights(model, open)
            #expect(weights.count == 14)
            let expected = NaiveDecoder(model, weights: weights).logits(tokens)
            for kernels in Kernels.underTest {
                let found = try open.logits(tokens, promptTokens: 19, kernels: kernels)
                let error = largestDifference(found, expected)
                #expect(error <= Self.tolerance(values), "\(kernels.instructionSet)")
            }
        }
    }

    /// A quantised embedding table is looked up, and multiplied with where the head is tied to it.
    @Test(arguments: [QuantizedCoding.i8, .i4], [true, false])
    func quantizesEmbeddingAndHead(coding: QuantizedCoding, tied: Bool) throws {
        var model = TinyModel()
        model.tiesHead = tied
        let tokens = model.randomTokens(24, seed: 8)
        let values = ValueChoice.quantized(coding, .columns32)
        let open = try OpenModel(model, packing: .smallest, tableValues: values)
        #expect(open.weights.headIsTied == tied)
        let weights = try Self.storedWeights(model, open)
        #expect(weights.count == (tied ? 1 : 2))
        let expected = NaiveDecoder(model, weights: weights).logits(tokens)
        for kernels in Kernels.underTest {
            let error = largestDifference(try open.logits(tokens, promptTokens: 19, kernels: kernels), expected)
            #expect(error <= Self.tolerance(values), "\(kernels.instructionSet)")
        }
        #expect(open.weights.byteCount < (try OpenModel(model, packing: .smallest).weights.byteCount))
    }

    /// Matrices with the same input may want it in different forms, or none.
    @Test func mixesCodingsInOneGroup() throws {
        var model = TinyModel()
        model.hiddenSize = 80
        let tokens = model.randomTokens(24, seed: 9)
        let kinds: [ValueChoice] = [
            .exact, .quantized(.i16, .columns64), .quantized(.i8, .columns32), .quantized(.i4, .row),
        ]
        let opened = try kinds.map { try OpenModel(model, packing: .fixed(.tiledBitmap), values: $0) }
        let stored = try zip(kinds, opened).map { $0 == .exact ? [:] : try Self.storedWeights(model, $1) }
        var weights: [String: [Float]] = [:]
        for (index, (name, _)) in model.projections.enumerated() { weights[name] = stored[index % 4][name] }
        let layers = (0..<model.layerCount).map { layer -> DecoderWeights.Layer in
            func matrix(_ place: Int) -> PackedMatrix {
                opened[(layer * 7 + place) % 4].weights.layers[layer].matrices[place]
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
        let expected = NaiveDecoder(model, weights: weights).logits(tokens)
        for kernels in Kernels.underTest {
            let sequence = SingleSequence(opened[0].configuration, mixed, kernels: kernels)
            try sequence.run(tokens)
            let error = largestDifference(try sequence.logits(Array(0..<tokens.count)), expected)
            #expect(error <= Self.tolerance(kinds[2]), "\(kernels.instructionSet)")
        }
    }

    @Test(arguments: QuantizedCoding.allCases) func doesNotDependOnTheNumberOfThreads(coding: QuantizedCoding) throws {
        var model = TinyModel()
        model.sparsity = 0.6
        let values = ValueChoice.quantized(coding, .columns64)
        let open = try OpenModel(
            model, packing: .smallest, values: values, tableValues: .quantized(.i8, .columns64))
        let tokens = model.randomTokens(40, seed: 10)
        for kernels in Kernels.underTest {
            let expected = try open.logits(tokens, promptTokens: 35, kernels: kernels, threads: 1)
            for threads in [2, 3, 5] {
                let found = try open.logits(tokens, promptTokens: 35, kernels: kernels, threads: threads)
                #expect(found == expected, "\(kernels.instructionSet), \(threads) threads")
            }
        }
    }
}
