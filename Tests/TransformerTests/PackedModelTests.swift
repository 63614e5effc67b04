import Checkpoints
import KernelsUnderTest
import Sparse
import Tensors
import Testing
import ModelFixtures
import Transformer

/// Whole models against a decoder in double precision, whatever their weights are packed as.
@Suite struct PackedModelTests {
    static let choices: [FormatChoice?] = [
        nil, .smallest, .fixed(.dense), .fixed(.tiledBitmap), .fixed(.tiledCSL), .fixed(.slicedEllpack),
    ]

    /// What float32 arithmetic leaves of two layers; found: below 2e-5.
    static let tolerance = 5e-5
    /// With keys and values rounded to 11 bits; found: below 5e-3.
    static let halfCacheTolerance = 2e-2

    @Test(arguments: [0, 0.5, 0.8, 0.95], [WeightType.f16, .bf16])
    func agreesWithDoublePrecision(sparsity: Double, type: WeightType) throws {
        var model = TinyModel()
        model.sparsity = sparsity
        model.type = type
        // A prompt over two blocks, then steps over the end of the second.
        let tokens = model.randomTokens(36, seed: 7)
        let expected = NaiveDecoder(model).logits(tokens)
        for choice in Self.choices {
            let open = try OpenModel(model, packing: choice)
            for kernels in Kernels.underTest {
                let found = try open.logits(tokens, promptTokens: 29, kernels: kernels)
                let error = largestDifference(found, expected)
                #expect(error <= Self.tolerance, "\(kernels.instructionSet), \(String(describing: choice))")
            }
        }
    }

    @Test(arguments: choices) func agreesWithHalfPrecisionCaches(choice: FormatChoice?) throws {
        var model = TinyModel()
        model.sparsity = 0.8
        let tokens = model.randomTokens(36, seed: 8)
        let expected = NaiveDecoder(model).logits(tokens)
        let open = try OpenModel(model, packing: choice)
        for kernels in Kernels.underTest {
            let found = try open.logits(tokens, promptTokens: 20, cache: .f16, kernels: kernels)
            let error = largestDifference(found, expected)
            #expect(error <= Self.halfCacheTolerance, "\(kernels.instructionSet)")
        }
    }

    @Test func keepsFloat32Weights() throws {
        var model = TinyModel()
        model.type = .f32
        let tokens = model.randomTokens(20, seed: 9)
        let expected = NaiveDecoder(model).logits(tokens)
        for kernels in Kernels.underTest {
            let found = try OpenModel(model).logits(tokens, promptTokens: 15, kernels: kernels)
            let error = largestDifference(found, expected)
            #expect(error <= Self.tolerance, "\(kernels.instructionSet)")
        }
    }

    /// The formats that were asked for, and the smallest where none was.
    @Test func usesTheFormatAskedFor() throws {
        var model = TinyModel()
        model.sparsity = 0.95
        for format in PackedFormat.allCases {
            let open = try OpenModel(model, packing: .fixed(format))
            for layer in open.weights.layers {
                for matrix in [layer.query, layer.key, layer.value, layer.output, layer.gate, layer.up, layer.down] {
                    #expect(matrix?.format == format)
                }
            }
        }
        let smallest = try PackedFormat.allCases.map { format in
            try OpenModel(model, packing: .fixed(format)).weights.byteCount
        }.min()!
        #expect(try OpenModel(model, packing: .smallest).weights.byteCount <= smallest)
        #expect(smallest < (try OpenModel(model).weights.byteCount) * 3 / 4)
    }

    /// Sums are ordered by the shapes alone: threads change no bit.
    @Test(arguments: choices) func doesNotDependOnTheNumberOfThreads(choice: FormatChoice?) throws {
        var model = TinyModel()
        model.sparsity = 0.7
        let open = try OpenModel(model, packing: choice)
        let tokens = model.randomTokens(40, seed: 10)
        for kernels in Kernels.underTest {
            for cache in [ElementType.f16, .f32] {
                let expected = try open.logits(tokens, promptTokens: 35, cache: cache, kernels: kernels, threads: 1)
                for threads in [2, 3, 5] {
                    let found = try open.logits(
                        tokens, promptTokens: 35, cache: cache, kernels: kernels, threads: threads)
                    #expect(found == expected, "\(kernels.instructionSet), \(cache), \(threads) threads")
                }
            }
        }
    }
}
