import Engine
import Tensors
import Terminal

/// What models are asked, and measured on, where nobody names anything.
enum BuiltInText {
    static let question = "Name three things that a river gives to a village."

    private static let window = 512

    /// How well a model predicts our own short text.
    /// - Parameter label: which model this is, for the progress.
    static func perplexity(
        of model: LanguageModel, label: String, pool: WorkerPool, progress: ProgressReporter
    ) throws -> Perplexity {
        let tokens = model.tokens(of: EvaluationText.bridge)
        let window = min(window, model.configuration.maximumContext)
        let windows = try EvaluationWindows(tokenCount: tokens.count, window: window)
        let evaluator = try PerplexityEvaluator(model, window: window, pool: pool)
        let result = try evaluator.evaluate(tokens, windows: windows) { scored in
            progress.update(
                "perplexity, \(label)", completed: scored, of: windows.scoredTokenCount, unit: .things("tokens"))
        }
        guard let perplexity = result.result else { throw CommandFailure("the built-in text has no token to score") }
        return perplexity
    }
}
