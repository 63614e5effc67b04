import ArgumentParser
import Engine
import Pruning
import Sparse
import Tensors
import Terminal

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

struct ParetoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pareto",
        abstract: "Prune and pack a model in several ways, and show quality against size and speed.",
        discussion: """
            Every variant is pruned, packed, and measured: perplexity, bytes, and the speed of one sequence on this \
            machine, in turns with the dense model. A variant is METHOD:SPARSITY or METHOD:SPARSITY:VALUES, with \
            values f16, i8 or i4; 'dense' and 'dense:VALUES' have all weights. Integers are rounded column by column, \
            dense ones as well: what zeros compete with is the best that dense models can do.

            Models stay in the folder, and those that are there already are not made again.

            Examples:
              flash-llm pareto smollm2-135m -o pareto --plot pareto.svg
              flash-llm pareto ./model -o pareto --variants dense,dense:i4,alps:0.5:i4 --text book.txt
              flash-llm pareto ./model -o pareto --recover 10m --json
            """)

    @OptionGroup var model: ModelArgument

    @Option(
        name: [.short, .customLong("output")],
        help: ArgumentHelp("The folder for the models.", valueName: "folder"), completion: .directory)
    var output: String

    @Option(help: ArgumentHelp("What to compare, with commas.", valueName: "list"))
    var variants = ParetoVariant.standard

    @Option(
        help: ArgumentHelp(
            "A text to measure the perplexity on, in UTF-8. (default: a short one of our own)", valueName: "file"),
        completion: .file())
    var text: String?

    @Option(help: ArgumentHelp("Of the text, so many tokens at most.", valueName: "n"))
    var maxTokens = 8_192

    @Option(
        help: ArgumentHelp("Train what pruning left, for so many steps, or minutes.", valueName: "n|minutes"),
        transform: RecoverCommand.length)
    var recover: RecoveryLength?

    @Option(help: ArgumentHelp("Columns of a row that share a scale.", valueName: "32|64|128|row"))
    var group = ScaleGroup.columns128.rawValue

    @Option(help: "Rounds of measuring speed.")
    var rounds = 5

    @OptionGroup var calibration: CalibrationOptions

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var reports: BenchmarkReports

    func validate() throws {
        _ = try chosenVariants()
        _ = try ScaleGroup.named(group)
        if maxTokens < 2 { throw ValidationError("--max-tokens must be at least 2, found \(maxTokens)") }
        guard (1...100).contains(rounds) else { throw ValidationError("--rounds must be in 1...100, found \(rounds)") }
    }

    private func chosenVariants() throws(ValidationError) -> [ParetoVariant] {
        var chosen: [ParetoVariant] = []
        for word in variants.split(separator: ",") {
            let variant = try ParetoVariant(word)
            if !chosen.contains(variant) { chosen.append(variant) }
        }
        guard !chosen.isEmpty else { throw ValidationError("--variants names nothing to compare") }
        return chosen
    }

    func run() throws {
        let console = Console()
        let path = try model.path(console: console)
        let files = try ModelFiles(path: path)
        let pool = threads.makePool()
        let progress = ProgressReporter(traits: console.errors)
        let interrupts = InterruptHandler()
        _ = interrupts.register { progress.finish() }
        try reports.check()
        let measured = try text.map { try TextFile.read($0) } ?? EvaluationText.bridge
        func tokens(for use: CalibrationOptions.Use, sequences: Int? = nil) throws -> CalibrationTokens {
            try calibration.tokens(files, path: path, for: use, sequences: sequences, pool: pool, progress: progress)
        }
        let models = ParetoModels(
            folder: try folder(), path: path, files: files,
            calibration: try tokens(for: .pruning(tokens: 1 << 15), sequences: calibration.samples),
            recovery: try recover.map { .init(length: $0, calibration: try tokens(for: .recovery($0))) },
            group: try ScaleGroup.named(group), pool: pool, progress: progress, interrupts: interrupts)
        let dense = try LanguageModel.open(path: path, pool: pool)
        let points = try chosenVariants().map { variant in
            let made = try models.make(variant)
            let opened = try LanguageModel.open(path: made.path, pool: pool)
            let speeds = try measure([dense, opened], variant, pool: pool, progress: progress)
            return ParetoResults.Point(
                variant: variant, sparsity: made.sparsity, bitsPerWeight: made.bitsPerWeight,
                byteCount: opened.weights.byteCount,
                perplexity: try BuiltInText.perplexity(
                    of: opened, on: measured, limit: maxTokens, label: variant.description, pool: pool,
                    progress: progress
                ).perplexity,
                speed: speeds.speed, speedUp: speeds.ratio)
        }
        progress.finish()
        let results = ParetoResults(
            model: model.model, text: text ?? "a short text of our own", points: points)
        try reports.write(
            json: results.json, table: results.table(for: console.output), csv: results.csv, figure: results.figure)
    }

    private func folder() throws -> String {
        do {
            try FileManager.default.createDirectory(atPath: output, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure("cannot make the folder \(output): \(error)")
        }
        return output
    }

    private func measure(
        _ models: [LanguageModel], _ variant: ParetoVariant, pool: WorkerPool, progress: ProgressReporter
    ) throws -> (speed: Spread, ratio: Double) {
        let run = BenchmarkRun(
            names: ["dense", variant.description], models: models, threadCounts: [pool.threadCount], batches: [1],
            promptTokens: 0, steps: 16, depths: [min(64, models[0].configuration.maximumContext / 2)], rounds: rounds)
        let results = try run.measure { done, total in
            progress.update("speed, \(variant)", completed: done, of: total, unit: .things("rounds"))
        }
        guard let last = results.measurements.last, let ratio = results.ratio(last) else {
            preconditionFailure("a benchmark of two models measured none")
        }
        return (last.tokensPerSecond, ratio)
    }
}
