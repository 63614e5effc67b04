import Engine
import Tensors
import TestSupport
import Testing

/// Held against transformers in float32 on the dequantised weights (scripts/compare-transformers).
@Suite(.enabled(if: TestModel.isAvailable, Comment(rawValue: TestModel.reason)))
struct ReferencePerplexityTests {
    @Test func equalsTheReferenceStack() throws {
        let pool = WorkerPool(threadCount: 2)
        let model = try LanguageModel.open(path: TestModel.path!, pool: pool)
        let tokens = model.tokens(of: EvaluationText.bridge)
        #expect(tokens.count == 718)
        let windows = try EvaluationWindows(tokenCount: tokens.count, window: 512)
        let evaluator = try PerplexityEvaluator(model, window: 512, pool: pool)
        let result = try #require(try evaluator.evaluate(tokens, windows: windows).result)
        let reference = 24.437384264939453
        let error = abs(result.perplexity - reference) / reference
        #expect(error <= 1e-3, "\(result.perplexity)")
        #expect(result.scoredTokens == 716)
    }
}
