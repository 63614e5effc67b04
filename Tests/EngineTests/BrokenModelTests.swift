import Checkpoints
import Engine
import TestSupport
import Testing
import TinyModels
import Transformer

/// Models that cannot give a text say so; they never give garbage.
@Suite struct BrokenModelTests {
    private static let prompt = GeneratorTests.prompt

    /// Mapped weights are not read at opening, so NaN shows in the logits.
    @Test(
        arguments: [
            "model.layers.0.self_attn.q_proj.weight", "model.layers.1.self_attn.k_proj.weight",
            "model.layers.1.self_attn.v_proj.weight", "model.layers.0.self_attn.o_proj.weight",
            "model.layers.0.mlp.gate_proj.weight", "model.layers.1.mlp.up_proj.weight",
            "model.layers.1.mlp.down_proj.weight", "lm_head.weight",
        ], [Float.nan, .infinity])
    func refusesBrokenLogits(name: String, value: Float) throws {
        let open = try OpenModel { tensors in
            let index = tensors.firstIndex { $0.name == name }!
            for place in stride(from: 0, to: tensors[index].values.count, by: 7) {
                tensors[index].values[place] = value
            }
        }
        var text = ""
        #expect(throws: LogitsError.self) {
            try open.generator().generate(prompt: Self.prompt, options: GenerationOptions(maximumTokens: 3)) {
                text += $0
            }
        }
        #expect(text.isEmpty)
        let windows = try EvaluationWindows(tokenCount: 16, window: 8)
        #expect(throws: LogitsError.self) {
            try PerplexityEvaluator(open.model, window: 8, pool: open.pool).evaluate(Self.prompt, windows: windows)
        }
    }

    /// Norms are read at once.
    @Test func refusesBrokenNorms() throws {
        #expect {
            try OpenModel { tensors in
                tensors[tensors.firstIndex { $0.name == "model.norm.weight" }!].values[5] = .nan
            }
        } throws: {
            ($0 as? CheckpointError)?.kind == .notFinite && "\($0)".contains("model.norm.weight")
        }
    }

    @Test func refusesATokenizerThatIsLargerThanTheModel() throws {
        var model = TinyLlama()
        model.vocabularySize = 256
        #expect(
            throws: ModelError(
                "the tokenizer's vocabulary", expected: "at most the model's 256 tokens", found: "257")
        ) { try OpenModel(model) }
    }

    @Test func refusesConversationsWithoutATemplate() throws {
        let open = try OpenModel()
        #expect(throws: EngineError.noChatTemplate) { try open.model.tokens(answering: []) }
    }

    /// Perplexity against the same numbers, computed token by token from scratch.
    @Test func perplexityMatchesStepByStep() throws {
        let open = try OpenModel(TinyLlama())
        let tokens = TinyLlama().vocabularySize
        var generator = SplitMix64(seed: 5)
        let text = (0..<50).map { _ in Int32.random(in: 0..<Int32(tokens), using: &generator) }
        let windows = try EvaluationWindows(tokenCount: 50, window: 20)
        var expected = PerplexityAccumulator()
        let runner = SequenceRunner(open.model, contextTokens: 20, pool: open.pool)
        for window in windows {
            runner.truncate(to: 0)
            for place in window.dropLast() {
                try runner.run([text[place]])
                expected.add(try negativeLogLikelihood(of: text[place + 1], logits: runner.lastLogits()))
            }
        }
        var progress: [Int] = []
        let found = try PerplexityEvaluator(open.model, window: 20, pool: open.pool).evaluate(
            text, windows: windows, progress: { progress.append($0) })
        #expect(progress.last == 47)
        #expect(progress == progress.sorted())
        let (a, b) = (try #require(found.result), try #require(expected.result))
        #expect(a.scoredTokens == 47)
        #expect(b.scoredTokens == 47)
        #expect(abs(a.meanNegativeLogLikelihood - b.meanNegativeLogLikelihood) <= 1e-4)
    }
}
