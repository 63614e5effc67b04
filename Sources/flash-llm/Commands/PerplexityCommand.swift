import ArgumentParser
import Checkpoints
import Engine
import OrderedJSON
import Tensors
import Terminal

struct PerplexityCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "perplexity",
        abstract: "Measure how well a model predicts a text.",
        discussion: """
            The text's tokens are cut into windows, each a sequence of its own without a beginning-of-text token; \
            every token of a window but the first is scored. Lower is better. The standard error takes tokens as \
            independent.

            Examples:
              flash-llm perplexity smollm2-135m book.txt
              flash-llm perplexity ./packed book.txt --max-tokens 4096
              flash-llm perplexity ./packed book.txt --window 256 --json | jq .perplexity
            """)

    @OptionGroup var model: ModelArgument

    @Argument(help: "The text, in UTF-8.", completion: .file())
    var file: String

    @Option(help: ArgumentHelp("Tokens of one window.", valueName: "n"))
    var window = 512

    @Option(help: ArgumentHelp("Use only the text's first n tokens. (default: all)", valueName: "n"))
    var maxTokens: Int?

    @OptionGroup var runtime: RuntimeOptions

    @Flag(help: "Print one JSON object: perplexity, scored_tokens, mean_nll and their errors.")
    var json = false

    func validate() throws {
        if window < 2 { throw ValidationError("--window must be at least 2, found \(window)") }
        if let maxTokens, maxTokens < 2 {
            throw ValidationError("--max-tokens must be at least 2, found \(maxTokens)")
        }
    }

    func run() async throws {
        let console = Console()
        let text = try TextFile.read(file)
        let progress = ProgressReporter(traits: console.errors)
        let pool = runtime.makePool()
        let runnerOptions = try runtime.runnerOptions(console: console)
        let opened = try runtime.open(
            try model.path(console: console), pool: pool, console: console, progress: progress)
        let limit = opened.configuration.maximumContext
        guard window <= limit else {
            throw ValidationError(
                "--window must be at most the model's context of \(limit), found \(window)"
            )
        }
        let tokens = opened.tokens(of: text)
        let windows = try EvaluationWindows(tokenCount: tokens.count, window: window, limit: maxTokens)
        let evaluator = try PerplexityEvaluator(opened, window: window, pool: pool, options: runnerOptions)
        let start = ContinuousClock.now
        let result = try evaluator.evaluate(tokens, windows: windows) { scored in
            progress.update("scoring", completed: scored, of: windows.scoredTokenCount, unit: .things("tokens"))
        }.result
        progress.finish()
        guard let result else { throw CommandFailure("\(file): the text has no token to score") }
        report(result, windows: windows.count, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    private func report(_ result: Perplexity, windows: Int, seconds: Double) {
        if json {
            let object: JSON = [
                "perplexity": .number(result.perplexity),
                "perplexity_standard_error": result.standardError.map(JSON.number) ?? .null,
                "mean_nll": .number(result.meanNegativeLogLikelihood),
                "mean_nll_standard_error": result.meanStandardError.map(JSON.number) ?? .null,
                "scored_tokens": .integer(result.scoredTokens),
                "windows": .integer(windows),
                "window": .integer(window),
                "seconds": .number(seconds),
            ]
            print(object.text())
            return
        }
        let error = result.standardError.map { " ± \(Format.fixed($0, decimals: 3))" } ?? ""
        print(
            "perplexity \(Format.fixed(result.perplexity, decimals: 4))\(error) over \(result.scoredTokens) tokens "
                + "in \(windows) windows of \(window) (\(Format.duration(seconds: seconds)))")
    }
}
