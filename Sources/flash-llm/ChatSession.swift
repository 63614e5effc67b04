import Engine
import Tensors
import Terminal
import Tokenizers

/// A conversation on a terminal.
struct ChatSession {
    private let model: LanguageModel
    private let generator: Generator
    private let options: GenerationOptions
    private let system: String?
    private let isRaw: Bool
    private var messages: [ChatMessage] = []

    init(
        model: LanguageModel, contextTokens: Int, system: String?, isRaw: Bool, options: GenerationOptions,
        pool: WorkerPool, runnerOptions: RunnerOptions
    ) throws {
        if model.chatTemplate == nil && system != nil { throw EngineError.noChatTemplate }
        self.model = model
        self.system = system
        self.isRaw = isRaw || model.chatTemplate == nil
        self.options = options
        generator = try Generator(model, contextTokens: contextTokens, pool: pool, options: runnerOptions)
        clear()
    }

    private mutating func clear() {
        messages = system.map { [ChatMessage(role: "system", content: $0)] } ?? []
    }

    /// Reads lines and answers them until the input ends.
    mutating func run() throws {
        let output = TextSink.standardOutput
        TextSink.standardError.write("/clear starts anew, /exit or Ctrl-D ends.\n")
        while true {
            output.write("> ")
            guard let line = readLine() else { break }
            switch line.trimmingSpaces {
            case "": continue
            case "/exit", "/quit": return
            case "/clear": clear()
            default: try answer(line, output)
            }
        }
        output.write("\n")
    }

    private mutating func answer(_ line: String, _ output: TextSink) throws {
        let question = ChatMessage(role: "user", content: line)
        let prompt =
            isRaw ? model.tokens(continuing: line) : try model.tokens(answering: messages + [question], date: .today)
        do {
            let generation = try generator.generate(prompt: prompt, options: options) { output.write($0) }
            output.write("\n")
            let report = GenerationReport(
                generation: generation, weightBytes: model.weights.byteCount, cacheBytes: generator.cacheByteCount)
            TextSink.standardError.write(report.line + "\n")
            messages += [question, ChatMessage(role: "assistant", content: generation.text)]
        } catch let error as EngineError {
            TextSink.standardError.write("\(error): /clear starts a new conversation\n")
        }
    }
}

extension String {
    var trimmingSpaces: String {
        let scalars = unicodeScalars.drop { $0.properties.isWhitespace }
        return String(String.UnicodeScalarView(scalars.reversed().drop { $0.properties.isWhitespace }.reversed()))
    }
}
