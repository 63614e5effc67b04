import ArgumentParser
import Engine
import Pruning
import Sparse
import Tensors
import Terminal
import Transformer

/// How much of a model is to be left, said by what it may take.
struct BudgetOptions: ParsableArguments {
    // Unconditional, so that -1MB is refused as a size and not taken for an option.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Instead of --sparsity, what the model may take when it is packed: bytes of all weights, such as 80MB, or "
                + "the speed of one sequence on this machine, such as 200t/s (tokens per second).",
            valueName: "bytes|speed"), transform: Budget.init(parsing:))
    var budget: Budget?

    @Option(
        help: ArgumentHelp(
            "With --budget: what 'pack --head' will store the embedding table and the head as.",
            valueName: "f16|i8|i4"))
    var head = "f16"

    @OptionGroup var profile: ProfileOptions

    func validate() throws {
        _ = try tableValues()
        if budget == nil, head != "f16" || profile.profile != nil {
            throw ValidationError("--head and --profile are for --budget, which is missing")
        }
    }

    private func tableValues() throws(ValidationError) -> ValueChoice {
        try ValueOptions.coding(head).map { .quantized($0, .columns128) } ?? .exact
    }

    /// What the options ask for; nil if they ask for nothing.
    /// - Parameter values: those that the matrices will have.
    func budget(
        _ configuration: ModelConfiguration, path: String, values: ValueGrid?, pool: WorkerPool, console: Console,
        progress: ProgressReporter
    ) throws -> SparsityBudget? {
        guard let budget else { return nil }
        var choice = FormatChoice.smallest
        var overhead = 0.0
        if case .speed = budget {
            let profile = try profile.load(threads: pool.threadCount, console: console, progress: progress)
            choice = .fastest(CostModel(profile: profile))
        }
        let estimate = try PackedEstimate(
            configuration, choice: choice, values: values.map { .quantized($0.coding, $0.group) } ?? .exact,
            tableValues: try tableValues(), pool: pool)
        if case .speed = budget, profile.file(in: console.environment) == nil {
            overhead = try self.overhead(configuration, path: path, choice: choice, pool: pool)
        }
        return SparsityBudget(budget.limit, estimate: estimate, overheadSeconds: overhead)
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
        guard case .fastest(let costs) = choice else { return 0 }
        let dense = try PackedEstimate(
            configuration, choice: .fastest(costs), values: .exact, tableValues: .exact, pool: pool)
        let predicted = try SparsityBudget(.seconds(1), estimate: dense).expected(sparsity: 0, configuration)
        return max(measured[steps / 2] - predicted, 0)
    }
}

/// A budget as a person says it.
enum Budget: Equatable {
    case bytes(Int)
    /// Tokens of one sequence in a second.
    case speed(Double)

    private static let byteUnits = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)]
    private static let speedUnits = ["tokens/s", "tok/s", "t/s"]

    /// Parses "80MB", "1.5 GB" or "200t/s".
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
        for (unit, factor) in Self.byteUnits {
            guard let count = number(unit) else { continue }
            self = .bytes(Int(count * factor))
            return
        }
        throw ValidationError(
            "--budget must be bytes, such as 80MB or 1.5GB, or a speed, such as 200t/s, found '\(text)'")
    }

    var limit: SparsityBudget.Limit {
        switch self {
        case .bytes(let count): .bytes(count)
        case .speed(let speed): .seconds(1 / speed)
        }
    }

    var description: String {
        switch self {
        case .bytes(let count): Format.bytes(count)
        case .speed(let speed): Format.rate(speed, of: "tokens")
        }
    }
}
