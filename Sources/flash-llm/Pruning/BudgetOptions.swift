import ArgumentParser
import Engine
import Pruning
import Sparse
import Tensors
import Terminal
import Transformer

/// How much of a model is to be left, said by what it may take or lose.
struct BudgetOptions: ParsableArguments {
    // Unconditional, so that -1MB is refused as a size and not taken for an option.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Instead of --sparsity, what the model may take when it is packed: bytes of all weights, such as 80MB; the "
                + "speed of one sequence on this machine, such as 200t/s (tokens per second); or what it may lose: a "
                + "perplexity, such as 30ppl, or 1.2x of the dense model's, for which it is pruned several times.",
            valueName: "amount"), transform: Budget.init(parsing:))
    var budget: Budget?

    @Option(
        help: ArgumentHelp(
            "With --budget: what 'pack --head' will store the embedding table and the head as.",
            valueName: "f16|i8|i4"))
    var head = "f16"

    @Option(
        help: ArgumentHelp(
            "With --budget 30ppl or 1.2x: the text whose perplexity counts. (default: our own short text)",
            valueName: "file"), completion: .file())
    var budgetText: String?

    @OptionGroup var profile: ProfileOptions

    func validate() throws {
        _ = try tableValues()
        if budgetText != nil, budget?.bound == nil {
            throw ValidationError("--budget-text is for a --budget of perplexity, such as 30ppl or 1.2x")
        }
        if budget == nil, head != "f16" || profile.profile != nil {
            throw ValidationError("--head and --profile are for --budget, which is missing")
        }
    }

    private func tableValues() throws(ValidationError) -> ValueChoice {
        try ValueOptions.coding(head).map { .quantized($0, .columns128) } ?? .exact
    }

    /// What a model may take; nil if that is left open.
    /// - Parameter values: those that the matrices will have.
    func budget(
        _ configuration: ModelConfiguration, path: String, values: ValueGrid?, pool: WorkerPool, console: Console,
        progress: ProgressReporter
    ) throws -> SparsityBudget? {
        guard let budget, let limit = budget.limit else { return nil }
        var choice = FormatChoice.smallest
        var overhead = 0.0
        if case .speed = budget {
            let measured = try profile.load(threads: pool.threadCount, console: console, progress: progress)
            choice = .fastest(CostModel(profile: measured))
            // What another machine takes besides is not known.
            if profile.file(in: console.environment) == nil {
                overhead = try self.overhead(configuration, path: path, choice: choice, pool: pool)
            }
        }
        let estimate = try PackedEstimate(
            configuration, choice: choice, values: values.map { .quantized($0.coding, $0.group) } ?? .exact,
            tableValues: try tableValues(), pool: pool)
        return SparsityBudget(limit, estimate: estimate, overheadSeconds: overhead)
    }

    /// What a step of this model takes on this machine beside what is predicted for its products.
    private func overhead(
        _ configuration: ModelConfiguration, path: String, choice: FormatChoice, pool: WorkerPool
    ) throws -> Double {
        let steps = 16
        let model = try LanguageModel.open(path: path, pool: pool)
        let benchmark = try ModelBenchmark(model, sequences: 1, contextTokens: 2 * steps, pool: pool)
        _ = try benchmark.prompt(tokens: steps)
        let measured = try (steps..<2 * steps).map { try benchmark.decodeStep(sequences: 1, position: $0) }.sorted()
        let predicted = try PackedEstimate(
            configuration, choice: choice, values: .exact, tableValues: .exact, pool: pool
        ).size(uniformSparsity: 0)
        return max(measured[steps / 2] - predicted.seconds, 0)
    }
}

/// A budget as a person says it.
enum Budget: Equatable {
    case bytes(Int)
    /// Tokens of one sequence in a second.
    case speed(Double)
    case quality(BoundedPruning.Bound)

    private static let byteUnits = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)]
    private static let speedUnits = ["tokens/s", "tok/s", "t/s"]

    /// Parses "80MB", "1.5 GB", "200t/s", "30ppl" or "1.2x".
    /// - Throws: `ValidationError`.
    init(parsing text: String) throws(ValidationError) {
        func number(_ unit: String) -> Double? {
            guard text.lowercased().hasSuffix(unit.lowercased()) else { return nil }
            let value = Double(text.dropLast(unit.count).filter { $0 != " " })
            return value.flatMap { $0 > 0 && $0 < 1e9 ? $0 : nil }
        }
        for unit in Self.speedUnits {
            guard let speed = number(unit) else { continue }
            self = .speed(speed)
            return
        }
        if let perplexity = number("ppl") {
            self = .quality(.perplexity(perplexity))
            return
        }
        if let ratio = number("x") {
            self = .quality(.ratio(ratio))
            return
        }
        for (unit, factor) in Self.byteUnits {
            guard let count = number(unit) else { continue }
            self = .bytes(Int(count * factor))
            return
        }
        throw ValidationError(
            "--budget must be bytes, such as 80MB or 1.5GB, a speed, such as 200t/s, or a perplexity, such as 30ppl or "
                + "1.2x, found '\(text)'")
    }

    /// What the model may take; nil where it is only asked what it may lose.
    var limit: SparsityBudget.Limit? {
        switch self {
        case .bytes(let count): .bytes(count)
        case .speed(let speed): .seconds(1 / speed)
        case .quality: nil
        }
    }

    /// What it may lose; nil where it is only asked what it may take.
    var bound: BoundedPruning.Bound? { if case .quality(let bound) = self { bound } else { nil } }

    var description: String {
        switch self {
        case .bytes(let count): Format.bytes(count)
        case .speed(let speed): Format.rate(speed, of: "tokens")
        case .quality(.perplexity(let limit)): "perplexity \(limit)"
        case .quality(.ratio(let ratio)): "\(ratio) times the dense perplexity"
        }
    }
}
