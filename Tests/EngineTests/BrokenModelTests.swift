import Checkpoints
import Engine
import TestSupport
import Testing
import ModelFixtures
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
            "model.layers.1.mlp.down_proj.weight",
        ], [Float.nan, .infinity])
    func refusesBrokenLogits(name: String, value: Float) throws {
        var model = OpenModel.talkative
        model.planted[name] = (index: 70, value: value)
        let open = try OpenModel(model)
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

    /// Infinity would do here no more than rule the token out, where its logit is negative.
    @Test func refusesABrokenHead() throws {
        var model = OpenModel.talkative
        model.planted["lm_head.weight"] = (index: 70, value: .nan)
        let open = try OpenModel(model)
        #expect(throws: LogitsError.notANumber(token: 1)) {
            try open.generate(Self.prompt, GenerationOptions(maximumTokens: 3))
        }
    }

    /// Norms are read at once.
    @Test func refusesBrokenNorms() throws {
        var model = TinyModel()
        model.planted["model.norm.weight"] = (index: 5, value: .nan)
        #expect {
            try OpenModel(model)
        } throws: {
            ($0 as? CheckpointError)?.kind == .notFinite && "\($0)".contains("model.norm.weight")
        }
    }

    @Test func refusesATokenizerThatIsLargerThanTheModel() throws {
        var model = TinyModel()
        model.configurationChanges = [("vocab_size", 256)]
        let count = TinyTokenizer.definition.tokenCount
        #expect(
            throws: ModelError(
                "the tokenizer's vocabulary", expected: "at most the model's 256 tokens", found: "\(count)")
        ) { try OpenModel(model) }
    }

    @Test func refusesConversationsWithoutATemplate() throws {
        var model = TinyModel()
        model.chatTemplate = nil
        let open = try OpenModel(model)
        #expect(throws: EngineError.noChatTemplate) { try open.model.tokens(answering: []) }
    }

    /// Perplexity against the same numbers, computed token by token from scratch.
    @Test func perplexityMatchesStepByStep() throws {
        let open = try OpenModel(TinyModel())
        let tokens = TinyTokenizer.vocabularySize
        var generator = SplitMix64(seed: 5)
        let text = (0..<50).map { _ in Int32.random(in: 0..<Int32(tokens), using: &generator) }
        let windows = try EvaluationWindows(tokenCount: 50, window: 20)
        var expected = PerplexityAccumulator()
        let runner = try SequenceRunner(open.model, contextTokens: 20, pool: open.pool)
        for window in windows {
            runner.truncate(to: 0)
            for place in window.dropLast() {
                try runner.run([text[place]])
                expected.add(try negativeLogLikelihood(of: text[place + 1], logits: try runner.lastLogits()))
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
