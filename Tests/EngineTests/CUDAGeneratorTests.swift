import Engine
import GPUCases
import ModelFixtures
import Tensors
import Testing
import TestSupport
import Transformer

/// The generation loop on an emulated GPU.
@Suite struct CUDAGeneratorTests {
    private static let prompt: [Int32] = Array("What is a sparse matrix?".utf8).map { Int32($0) }

    private static func options(_ gpu: TestedGPU) -> RunnerOptions { RunnerOptions(device: .cuda(gpu.library)) }

    @Test func writesTheTextThatTheCPUWrites() throws {
        let open = try OpenModel()
        let options = GenerationOptions(maximumTokens: 12)
        let (expected, _) = try open.generate(Self.prompt, options)
        try TestedGPU.run { gpu in
            let generator = try open.generator(options: Self.options(gpu))
            let (found, _) = try open.generate(Self.prompt, options, generator: generator)
            #expect(found.tokens == expected.tokens && found.text == expected.text)
            // The same prompt again, whose keys and values are there.
            let (again, _) = try open.generate(Self.prompt, options, generator: generator)
            #expect(again.tokens == expected.tokens && again.computedPromptTokens == 1)
            #expect(generator.cacheByteCount > 0)
        }
    }

    /// Other choices than the greedy one are made by the host, from the GPU's logits.
    @Test func samplesFromLogits() throws {
        let open = try OpenModel()
        let sampling = try SamplingParameters(temperature: 1, seed: 3)
        let options = GenerationOptions(maximumTokens: 6, sampling: sampling)
        let (expected, _) = try open.generate(Self.prompt, options)
        try TestedGPU.run { gpu in
            let (found, _) = try open.generate(
                Self.prompt, options, generator: open.generator(options: Self.options(gpu)))
            #expect(found.tokens == expected.tokens)
        }
    }

    @Test func perplexityIsThatOfTheCPU() throws {
        let open = try OpenModel()
        let windows = try EvaluationWindows(tokenCount: Self.prompt.count, window: 12)
        let expected = try PerplexityEvaluator(open.model, window: 12, pool: open.pool)
            .evaluate(Self.prompt, windows: windows).result
        try TestedGPU.run { gpu in
            let found = try PerplexityEvaluator(open.model, window: 12, pool: open.pool, options: Self.options(gpu))
                .evaluate(Self.prompt, windows: windows).result
            let (x, y) = (try #require(found).perplexity, try #require(expected).perplexity)
            #expect(abs(x / y - 1) <= 0.01)
        }
    }

    @Test func refusesACacheThatIsNotF16() throws {
        let open = try OpenModel()
        try TestedGPU.run { gpu in
            var options = Self.options(gpu)
            options.cacheElement = .i8
            #expect(throws: ModelError("the cache on a GPU", expected: "f16", found: "i8")) {
                _ = try open.generator(options: options)
            }
        }
    }

    @Test func stepsOfABenchmarkRun() throws {
        let open = try OpenModel()
        try TestedGPU.run { gpu in
            let benchmark = try ModelBenchmark(
                open.model, sequences: 3, contextTokens: 40, pool: open.pool, options: Self.options(gpu))
            #expect(try benchmark.decodeStep(sequences: 3, position: 20) > 0)
            #expect(try benchmark.prompt(tokens: 30) > 0)
            #expect(benchmark.weightBytesPerStep > 0)
        }
    }
}
