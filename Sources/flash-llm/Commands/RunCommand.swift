import ArgumentParser
import Engine
import OrderedJSON
import Tensors
import Terminal
import Tokenizers

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run",
        abstract: "Answer a prompt, or chat.",
        discussion: """
            Without a prompt it chats on a terminal, and reads the prompt from standard input when that is piped. \
            Instruct models get the prompt through their own chat template; --raw continues it as plain text.

            The text streams to standard output; speed and memory go to standard error.

            Examples:
              flash-llm run smollm2-135m "What is a sparse matrix?"
              flash-llm run smollm2-135m                                       chat
              flash-llm run ./packed "Once upon a time" --raw --temperature 0
              flash-llm run ./packed "Once upon a time" --raw --device cuda
              flash-llm run ./packed "Name three rivers." --system "Be brief." --max-tokens 50
              flash-llm run ./packed "2 + 2 =" --raw --temperature 0 --max-tokens 8 --json | jq .tokens
              cat question.txt | flash-llm run smollm2-135m
            """)

    @OptionGroup var model: ModelArgument

    @Argument(help: "What to answer. (default: chat, or standard input when piped)")
    var prompt: String?

    @Option(help: ArgumentHelp("Generate at most this many tokens.", valueName: "n"))
    var maxTokens = 512

    @OptionGroup var sampling: SamplingOptions

    @Option(help: ArgumentHelp("End the text before this string; may be given several times.", valueName: "text"))
    var stop: [String] = []

    @Option(help: ArgumentHelp("Tell the model how to behave, before the prompt.", valueName: "text"))
    var system: String?

    @Flag(help: "Continue the prompt as plain text, without the chat template.")
    var raw = false

    @Flag(help: "Go on past the model's end of an answer.")
    var ignoreEos = false

    @Option(
        help: ArgumentHelp(
            "Tokens of prompt and text together. (default: what is needed, within the model's limit)", valueName: "n"))
    var context: Int?

    @OptionGroup var runtime: RuntimeOptions

    @Flag(help: "Print one JSON object: prompt_tokens, tokens, text, finish_reason, timings, memory.")
    var json = false

    func validate() throws {
        if maxTokens < 1 { throw ValidationError("--max-tokens must be at least 1, found \(maxTokens)") }
        if let context, context < 2 { throw ValidationError("--context must be at least 2, found \(context)") }
        if raw && system != nil { throw ValidationError("--system needs the chat template, which --raw switches off") }
        _ = try sampling.parameters()
        do throws(StopStringError) { _ = try StopStrings(stop) } catch { throw ValidationError("--stop: \(error)") }
    }

    func run() async throws {
        let console = Console()
        let path = try model.path(console: console)
        let isChat = prompt == nil && StandardInput.isTerminal && !json
        let text = isChat ? nil : try prompt ?? StandardInput.readText(source: "the prompt")
        let progress = ProgressReporter(traits: console.errors)
        let pool = runtime.makePool()
        // Before the model is loaded: that a GPU is missing shall be known at once.
        let runnerOptions = try runtime.runnerOptions(console: console)
        let opened = try runtime.open(path, pool: pool, console: console, progress: progress)
        let options = GenerationOptions(
            maximumTokens: maxTokens, sampling: try sampling.parameters(), stops: try StopStrings(stop),
            ignoresEnd: ignoreEos)
        if let text {
            try answer(
                text, with: opened, options: options, pool: pool, runnerOptions: runnerOptions, progress: progress)
        } else {
            let limit = opened.configuration.maximumContext
            var chat = try ChatSession(
                model: opened, contextTokens: min(context ?? 8192, limit), system: system, isRaw: raw, options: options,
                pool: pool, runnerOptions: runnerOptions)
            try chat.run()
        }
    }

    private func answer(
        _ text: String, with model: LanguageModel, options: GenerationOptions, pool: WorkerPool,
        runnerOptions: RunnerOptions, progress: ProgressReporter
    ) throws {
        let tokens = try promptTokens(text, model)
        let limit = model.configuration.maximumContext
        let needed = tokens.count.addingReportingOverflow(maxTokens)
        let wanted = context ?? (needed.overflow ? limit : needed.partialValue)
        let generator = try Generator(
            model, contextTokens: max(min(wanted, limit), 1), pool: pool, options: runnerOptions)
        let output = TextSink.standardOutput
        let generation = try generator.generate(
            prompt: tokens, options: options,
            onProgress: {
                progress.update("reading the prompt", completed: $0, of: tokens.count, unit: .things("tokens"))
            },
            onText: { piece in
                progress.finish()
                if !json { output.write(piece) }
            })
        let report = GenerationReport(
            generation: generation, weightBytes: model.weights.byteCount, cacheBytes: generator.cacheByteCount)
        if json {
            print(report.json.text())
        } else {
            if !generation.text.hasSuffix("\n") { output.write("\n") }
            TextSink.standardError.write(report.line + "\n")
        }
    }

    private func promptTokens(_ text: String, _ model: LanguageModel) throws -> [Int32] {
        // A model that was not trained to chat can only continue text.
        if raw || (model.chatTemplate == nil && system == nil) { return model.tokens(continuing: text) }
        var messages = [ChatMessage(role: "user", content: text)]
        if let system { messages.insert(ChatMessage(role: "system", content: system), at: 0) }
        return try model.tokens(answering: messages, date: .today)
    }
}
