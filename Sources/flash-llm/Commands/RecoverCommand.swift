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
            data set; with --calibration they come from files. They are others than \
            'prune' reads, and a step learns from 1,024 tokens of them.

            With --values weights have few bits in every product, and gradients move what is behind them.

            Memory: the projections in float32 three times (four times with --values), the embedding table twice, and \
            some hundred megabytes.

            Examples:
              flash-llm recover smollm2-135m pruned -o recovered
              flash-llm recover smollm2-135m pruned --steps 200 --calibration book.txt -o recovered
              flash-llm recover smollm2-135m pruned --values i4 -o recovered
            """)

    @Argument(help: "The dense model: the name of a pulled model, a GGUF file or a model folder.")
    var dense: String

    @Argument(help: "The pruned model, of the same shape.")
    var pruned: String

    @Option(
        help: ArgumentHelp("Steps to train, or minutes: 200 or 15m.", valueName: "n|minutes"),
        transform: RecoverCommand.length)
    var steps = RecoveryLength.minutes(10)

    @Option(help: ArgumentHelp("How far a step moves a weight at most, about.", valueName: "rate"))
    var rate = ModelRecovery.usualRate

    @OptionGroup var values: ValueOptions

    @OptionGroup var calibration: CalibrationOptions

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var output: ModelOutput

    @Flag(help: "Print one JSON object: path, recovery, bytes, seconds.")
    var json = false

    static func length(_ text: String) throws -> RecoveryLength {
        guard let length = RecoveryLength(text) else {
            throw ValidationError("expected a number of steps, such as 200, or minutes, such as 15m, found '\(text)'")
        }
        return length
    }

    func validate() throws {
        guard rate > 0, rate <= 0.1 else {
            throw ValidationError("--rate must be above 0 and at most 0.1, found \(rate)")
        }
        _ = try values.grid()
    }

    func run() throws {
        let console = Console()
        let path = try ModelArgument.path(of: dense, console: console)
        let files = try ModelFiles(path: path)
        let prunedFiles = try ModelFiles(path: try ModelArgument.path(of: pruned, console: console))
        let pool = threads.makePool()
        let progress = ProgressReporter(traits: console.errors)
        let tokens = try calibration.tokens(
            files, path: path, for: .recovery(steps), sequences: calibration.samples, pool: pool, progress: progress)
        let recovery = try ModelRecovery(
            dense: files.checkpoint, pruned: prunedFiles.checkpoint, configuration: files.configuration,
            calibration: tokens, length: steps, rate: rate, values: try values.grid(),
            arithmetic: Arithmetic(pool: pool, precision: .bfloat16))
        let (report, seconds) = try output.write("recovering \(pruned)", copying: prunedFiles, console: console) {
            destination in
            try recovery.recover(to: destination) { progress.update($0, of: pruned) }
        }
        self.report(report, seconds: seconds)
    }

    private func report(_ report: RecoveryReport, seconds: Double) {
        if json {
            let result: JSON = [
                "path": .string(output.output), "recovery": report.json,
                "bytes": .integer(output.writtenByteCount), "seconds": .number(seconds),
            ]
            print(result.text())
            return
        }
        print(report.summary)
        print(
            "wrote \(Format.bytes(output.writtenByteCount)) in \(Format.duration(seconds: seconds)): "
                + output.output.printable)
    }
}
