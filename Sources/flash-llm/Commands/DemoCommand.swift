import ArgumentParser
import Checkpoints
import Engine
import Hub
import Pruning
import Sparse
import Tensors
import Terminal
import Tokenizers

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Pull, prune, pack and run a small model, dense against packed.",
        discussion: """
            Pulls SmolLM2-135M-Instruct, prunes it with SparseGPT on texts that the model writes itself, packs it \
            twice, without loss and with values of 8 bits, answers a question with the dense and with both packed \
            models, and prints what that did to bytes, speed and perplexity. The perplexity is over a short text of \
            our own; the speeds are medians, measured in turns. All of it takes less than two minutes on two cores.

            With more time more of the model is kept: 'flash-llm prune --method alps' finds better zeros in three \
            times the time, and 'flash-llm recover' trains what is left.

            Examples:
              flash-llm demo
              flash-llm demo --sparsity 0.7      small and fast, and nonsense
              flash-llm demo "Why do cats purr?"
            """)

    private static let modelName = "smollm2-135m"

    @Argument(help: "The question that all models answer.")
    var question = BuiltInText.question

    @Option(help: ArgumentHelp("Share of the decoder's weights to set to zero.", valueName: "share"))
    var sparsity = 0.4

    @Option(help: ArgumentHelp("Tokens of each answer at most.", valueName: "n"))
    var maxTokens = 80

    func validate() throws {
        if !(sparsity >= 0 && sparsity < 1) {
            throw ValidationError("--sparsity must be at least 0 and less than 1, found \(sparsity)")
        }
        if maxTokens < 1 { throw ValidationError("--max-tokens must be at least 1, found \(maxTokens)") }
    }

    func run() async throws {
        let console = Console()
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let cache = try ModelCache(environment: console.environment)
        let name = Self.modelName
        let pulled = try await interrupts.cancelling {
            defer { progress.finish() }
            return try await cache.pull(name) { progress.show($0, of: name) }
        }
        say(1, "\(pulled.entry.title), \(pulled.entry.licence): \(pulled.wasCached ? "in the cache" : "pulled")")
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let maker = DemoModels(
            root: cache.root + "/demo", pool: pool, progress: progress, interrupts: interrupts)
        let pruned = try maker.prune(pulled.path, sparsity: sparsity)
        say(
            2,
            "pruned by SparseGPT on \(DemoModels.tokens) tokens of its own texts: "
                + "\(Format.percentage(pruned.sparsity)) of its decoder's weights are zero now")
        let packed = try maker.pack(pruned.path, as: "packed", values: .exact)
        let small = try maker.pack(pruned.path, as: "packed-i8", values: .quantized(.i8, .columns128))
        say(
            3,
            "packed: \(Format.bytes(packed.denseBytes)) became \(Format.bytes(packed.packedBytes)), and "
                + "\(Format.bytes(small.packedBytes)) with int8 values, at \(maker.root.printable)")
        let zeros = "\(Format.percentage(sparsity, decimals: 0)) zeros"
        let contestants = try [
            ("dense f16", pulled.path), ("packed, \(zeros)", packed.path), ("packed, \(zeros), int8", small.path),
        ].map { try Contestant(label: $0, path: $1, pool: pool, progress: progress) }
        say(4, "all answer: \(question.printable)")
        for contestant in contestants { try answer(contestant, pool: pool) }
        say(5, "measuring")
        let perplexities = try contestants.map {
            try BuiltInText.perplexity(of: $0.model, label: $0.label, pool: pool, progress: progress)
        }
        let speeds = try measure(contestants, progress: progress)
        progress.finish()
        TextSink.standardOutput.write(
            table(contestants, perplexities: perplexities, speeds: speeds).text(for: console.output))
    }

    private func say(_ step: Int, _ text: String) { TextSink.standardOutput.write("\(step)/5 \(text)\n") }

    private func answer(_ contestant: Contestant, pool: WorkerPool) throws {
        let model = contestant.model
        let prompt = try model.tokens(answering: [ChatMessage(role: "user", content: question)], date: .today)
        let limit = min(prompt.count + maxTokens, model.configuration.maximumContext)
        let generator = try Generator(model, contextTokens: limit, pool: pool)
        let output = TextSink.standardOutput
        output.write("\n[\(contestant.label)] ")
        _ = try generator.generate(prompt: prompt, options: GenerationOptions(maximumTokens: maxTokens)) {
            output.write($0)
        }
        output.write("\n\n")
    }

    private func measure(_ contestants: [Contestant], progress: ProgressReporter) throws -> [Spread] {
        let run = BenchmarkRun(
            names: contestants.map(\.label), models: contestants.map(\.model),
            threadCounts: [WorkerPool.availableProcessorCount], batches: [1], promptTokens: 0, steps: 16, depths: [64],
            rounds: 7)
        let results = try run.measure { done, total in
            progress.update("measuring speed", completed: done, of: total, unit: .things("rounds"))
        }
        return results.measurements.map(\.tokensPerSecond)
    }

    private func table(_ contestants: [Contestant], perplexities: [Perplexity], speeds: [Spread]) -> Table {
        var table = Table([.text("model"), .number("weights"), .number("tokens/s"), .number("perplexity")])
        for (index, contestant) in contestants.enumerated() {
            table.append([
                contestant.label,
                Format.bytes(contestant.model.weights.byteCount), Format.fixed(speeds[index].median, decimals: 1),
                Format.fixed(perplexities[index].perplexity, decimals: 2),
            ])
        }
        return table
    }
}

/// One of the models of the demo, opened.
private struct Contestant {
    let label: String
    let model: LanguageModel

    init(label: String, path: String, pool: WorkerPool, progress: ProgressReporter) throws {
        self.label = label
        model = try LanguageModel.open(path: path, pool: pool) { done, total in
            progress.update("loading, \(label)", completed: done, of: total, unit: .things("layers"))
        }
        progress.finish()
    }
}
