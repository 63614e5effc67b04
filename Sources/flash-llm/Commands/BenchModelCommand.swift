import ArgumentParser
import Engine
import OrderedJSON
import Tensors
import Terminal

struct BenchModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        // People have folders called "model": a name that none has.
        commandName: "whole-model",
        abstract: "Measure decoding and prompt speed, several models in turns (the default).",
        discussion: """
            Every round measures memory bandwidth, then each model once at every setting, so that a machine that \
            slows down slows all of them; reported are medians and quartiles. 'Of bandwidth' is the share of the \
            measured bandwidth that a model's weights pass at; the ratio is to the first model at the same setting. A \
            round's value is the mean of its steps. With several depths 'attention' is the share of a step by which it \
            takes longer than one with the fewest tokens in the cache: what looking back at the others costs. Models \
            are measured as they are stored; with --pack auto as 'flash-llm run' runs them.

            Examples:
              flash-llm bench smollm2-135m
              flash-llm bench smollm2-135m ./packed                dense against packed
              flash-llm bench smollm2-135m ./packed --full         1, 2, 4, 8 and 16 sequences
              flash-llm bench ./packed --threads 1,2 --batch 1,4,16
              flash-llm bench ./packed --prompt 512 --json
              flash-llm bench ./packed --depth 64,4096             short and long contexts
              flash-llm bench ./packed --device cuda --batch 1,16  on a GPU; its nominal bandwidth is the bound
              flash-llm bench dense packed --full --csv speed.csv --plot speed.svg
            """)

    @Argument(help: "Names of pulled models, GGUF files or model folders; ratios are to the first.")
    var models: [String]

    @Option(help: ArgumentHelp("Thread counts. (default: one per processor)", valueName: "n,n"))
    var threads: NumberList = NumberList(values: [WorkerPool.availableProcessorCount])

    @Option(help: ArgumentHelp("Sequences that are decoded together. (default: 1)", valueName: "n,n"))
    var batch: NumberList?

    @Flag(help: "Decode 1, 2, 4, 8 and 16 sequences together.")
    var full = false

    @Option(help: ArgumentHelp("Prompt tokens; 0 leaves prompts out.", valueName: "n"))
    var prompt = 512

    @Option(help: ArgumentHelp("Decoding steps of each round.", valueName: "n"))
    var steps = 16

    @Option(help: ArgumentHelp("Tokens in the cache when decoding is measured.", valueName: "n,n"))
    var depth = DepthList(values: [64])

    @Option(help: ArgumentHelp("Rounds.", valueName: "n"))
    var rounds = 7

    @Option(help: "Keep weights that must be decoded as f16 or f32.")
    var weights: WeightPrecision = .f16

    @Option(help: "Keep keys and values as f32, f16 or i8.")
    var cache: CachePrecision = .f16

    @OptionGroup var device: DeviceOptions

    @OptionGroup var packing: LoadPackingOptions

    @OptionGroup var reports: BenchmarkReports

    func validate() throws {
        for (name, value) in [("steps", steps), ("rounds", rounds)]
        where !(1...100_000).contains(value) {
            throw ValidationError("--\(name) must be in 1...100000, found \(value)")
        }
        if !(0...1_000_000).contains(prompt) {
            throw ValidationError("--prompt must be in 0...1000000, found \(prompt)")
        }
        if models.isEmpty { throw ValidationError("expected at least one model") }
        if full && batch != nil {
            throw ValidationError("--full and --batch both say what is decoded together: give one of them")
        }
        try checkDevice()
    }

    private func checkDevice() throws {
        guard try device.choice != .cpu else { return }
        if cache != .f16 { throw ValidationError("--cache on a GPU must be f16, found \(cache)") }
        if threads.values.count > 1 { throw ValidationError("--threads on a GPU makes no difference: give one number") }
    }

    private var batches: [Int] { full ? [1, 2, 4, 8, 16] : batch?.values ?? [1] }

    func run() async throws {
        let console = Console()
        try reports.check()
        let device = try device.choice.open(environment: console.environment)
        let progress = ProgressReporter(traits: console.errors)
        let loadingPool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let packing = try packing.packing(
            default: "none", threads: threads.values.max() ?? 1, console: console, progress: progress)
        let opened = try models.map { name in
            let path = try ModelArgument.path(of: name, console: console)
            let model = try LanguageModel.open(
                path: path, type: weights.type, packing: packing, pool: loadingPool
            ) { done, total in
                progress.update("loading \(name)", completed: done, of: total, unit: .things("layers"))
            }
            progress.finish()
            LoadPackingOptions.report(model.weights, console: console)
            return model
        }
        let context = opened.map(\.configuration.maximumContext).min() ?? 1
        let depths = depth.values.sorted()
        // The token that is decoded is one more.
        for (name, tokens, limit) in [("prompt", prompt, context), ("depth", depths.last ?? 0, context - 1)]
        where tokens > limit {
            throw ValidationError(
                "--\(name) must fit the context of \(context) tokens: expected at most \(limit), found \(tokens)")
        }
        let run = BenchmarkRun(
            names: models, models: opened, threadCounts: threads.values, batches: batches, promptTokens: prompt,
            steps: steps, depths: depths, rounds: rounds,
            options: RunnerOptions(device: device, cacheElement: cache.element))
        let results = try run.measure { done, total in
            progress.update("measuring", completed: done, of: total, unit: .things("rounds"))
        }
        progress.finish()
        try reports.write(
            json: results.json, table: results.table(for: console.output), csv: results.csv, figure: results.figure)
    }
}
