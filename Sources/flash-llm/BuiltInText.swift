import Engine
import Tensors
import Terminal

/// What models are asked, and measured on, where nobody names anything.
enum BuiltInText {
    static let question = "Name three things that a river gives to a village."

    private static let window = 512

    /// How well a model predicts a text, our own short one if none is given.
    /// - Parameters:
    ///   - limit: of the text, so many tokens at most; nil for all.
    ///   - label: which model this is, for the progress.
    static func perplexity(
        of model: LanguageModel, on text: String = EvaluationText.bridge, limit: Int? = nil, label: String,
        pool: WorkerPool, progress: ProgressReporter
    ) throws -> Perplexity {
        let tokens = model.tokens(of: text)
        let window = min(window, model.configuration.maximumContext)
        let windows = try EvaluationWindows(tokenCount: tokens.count, window: window, limit: limit)
        let evaluator = try PerplexityEvaluator(model, window: window, pool: pool)
        let result = try evaluator.evaluate(tokens, windows: windows) { scored in
            progress.update(
                "perplexity, \(label)", completed: scored, of: windows.scoredTokenCount, unit: .things("tokens"))
        }
        guard let perplexity = result.result else { throw CommandFailure("the text has no token to score") }
        return perplexity
    }
}
