import Engine
import OrderedJSON
import Tensors
import Terminal
import Tokenizers

/// What a model says and how well it predicts our own short text, before and after something was done to it.
struct QualityComparison {
    struct Quality {
        let perplexity: Double
        let answer: String

        var json: JSON { ["perplexity": .number(perplexity), "answer": .string(answer)] }
    }

    let question: String
    let before: Quality
    let after: Quality

    private static let answerTokens = 80

    /// - Parameters:
    ///   - before: the path of a model; `after` as well.
    /// - Throws: whatever opening or running a model throws.
    init(before: String, after: String, pool: WorkerPool, progress: ProgressReporter) throws {
        let question = BuiltInText.question
        func quality(_ path: String, _ label: String) throws -> Quality {
            let model = try LanguageModel.open(path: path, pool: pool)
            return Quality(
                perplexity: try BuiltInText.perplexity(of: model, label: label, pool: pool, progress: progress)
                    .perplexity,
                answer: try Self.answer(question, model, pool: pool))
        }
        self.question = question
        self.before = try quality(before, "before")
        self.after = try quality(after, "after")
        progress.finish()
    }

    /// An answer, or what follows the question where a model knows no conversations.
    private static func answer(_ question: String, _ model: LanguageModel, pool: WorkerPool) throws -> String {
        let prompt =
            model.chatTemplate == nil
            ? model.tokens(of: question)
            : try model.tokens(answering: [ChatMessage(role: "user", content: question)], date: .today)
        let limit = min(prompt.count + answerTokens, model.configuration.maximumContext)
        guard prompt.count < limit else { return "" }
        return try Generator(model, contextTokens: limit, pool: pool)
            .generate(prompt: prompt, options: GenerationOptions(maximumTokens: answerTokens)) { _ in }.text
    }

    var json: JSON { ["question": .string(question), "before": before.json, "after": after.json] }
}
