import ArgumentParser
import LinearAlgebra
import OrderedJSON
import Pruning
import Tensors
import Terminal

struct RecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "Train what pruning left of a model on the dense model's own answers.",
        discussion: """
            Every weight that is not zero is trained so that the pruned model gives the next token the distribution \
            that the dense one gives it; zeros stay zeros. Texts are the dense model's own by default, which needs no \
            data set; with --calibration they come from files. A step learns from two sequences.

            Memory: the projections in float32 three times, the embedding table twice, and some hundred megabytes.

            Examples:
              flash-llm recover smollm2-135m pruned -o recovered
              flash-llm recover smollm2-135m pruned --steps 200 --calibration book.txt -o recovered
            """)

    @Argument(help: "The dense model: the name of a pulled model, a GGUF file or a model folder.")
    var dense: String

    @Argument(help: "The pruned model, of the same shape.")
    var pruned: String

    @Option(help: ArgumentHelp("Steps to train.", valueName: "n"))
    var steps = 48

    @OptionGroup var calibration: CalibrationOptions

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var output: ModelOutput

    @Flag(help: "Print one JSON object: path, steps, tokens, divergence_before, divergence_after, losses, seconds.")
    var json = false

    func validate() throws {
        guard (1...1_000_000).contains(steps) else {
            throw ValidationError("--steps must be in 1...1000000, found \(steps)")
        }
    }

    func run() throws {
        let console = Console()
        let path = try ModelArgument.path(of: dense, console: console)
        let files = try ModelFiles(path: path)
        let prunedFiles = try ModelFiles(path: try ModelArgument.path(of: pruned, console: console))
        let pool = threads.makePool()
        let progress = ProgressReporter(traits: console.errors)
        let tokens = try calibration.tokens(
            files, path: path, count: ModelRecovery.sequenceCount(steps: steps), pool: pool, progress: progress)
        let recovery = try ModelRecovery(
            dense: files.checkpoint, pruned: prunedFiles.checkpoint, configuration: files.configuration,
            calibration: tokens, steps: steps, arithmetic: Arithmetic(pool: pool))
        let label = "recovering \(pruned)"
        let (report, seconds) = try output.write(label, copying: prunedFiles, console: console) { destination in
            try recovery.recover(to: destination) { done, _ in
                progress.update(label, completed: done, of: steps, unit: .things("steps"))
            }
        }
        self.report(report, seconds: seconds)
    }

    private func report(_ report: ModelRecovery.Report, seconds: Double) {
        if json {
            let result: JSON = [
                "path": .string(output.output),
                "steps": .integer(steps),
                "tokens": .integer(report.tokenCount),
                "divergence_before": .number(report.before),
                "divergence_after": .number(report.after),
                "losses": .array(report.losses.map(JSON.number)),
                "bytes": .integer(output.writtenByteCount),
                "seconds": .number(seconds),
            ]
            print(result.text())
            return
        }
        print(
            "recovered \(pruned) in \(steps) steps of \(Format.count(report.tokenCount / steps)) tokens: divergence "
                + "from \(dense) \(Format.fixed(report.before, decimals: 3)) -> "
                + "\(Format.fixed(report.after, decimals: 3)) nats a token, held out")
        print(
            "wrote \(Format.bytes(output.writtenByteCount)) in \(Format.duration(seconds: seconds)): "
                + output.output.printable)
    }
}
