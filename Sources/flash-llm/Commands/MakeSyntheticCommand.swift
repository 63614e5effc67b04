import ArgumentParser
import Checkpoints
import OrderedJSON
import Synthesis
import Tensors
import Terminal

struct MakeSyntheticCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-synthetic",
        abstract: "Write a model of a known shape with random weights, to measure with.",
        discussion: """
            Speed and memory do not depend on what weights mean: a model of random weights runs as fast as the one \
            whose shape it has, and nobody has to download it. Weights are normally distributed, each matrix scaled so \
            that outputs are as large as inputs; norms are 1. With --sparsity the smallest weights of the matrices \
            that pruning works on are zero. The same options write the same bytes on every machine.

            What the model says is letters. Shapes:
            \(shapeLines)

            Examples:
              flash-llm make-synthetic --parameters 1.1b -o dense
              flash-llm make-synthetic --parameters 1.1b --sparsity 0.8 -o sparse && flash-llm pack sparse -o packed
              flash-llm bench dense packed
            """)

    @Option(help: ArgumentHelp("The shape: \(SyntheticShape.all.map(\.name).joined(separator: ", ")).", valueName: "n"))
    var parameters: String

    @Option(help: ArgumentHelp("Another seed gives other weights.", valueName: "n"))
    var seed: UInt64 = 1

    // Unconditional, so that -0.1 is refused as a number and not taken for an option.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The share of zeros: at least 0, less than 1.", valueName: "share"))
    var sparsity = 0.0

    @Option(help: "How weights are stored: f16 or bf16.")
    var type = "f16"

    @OptionGroup var output: ModelOutput

    @Flag(help: "Print one JSON object: path, shape, parameters, type, seed, sparsity, bytes, seconds.")
    var json = false

    func validate() throws {
        guard sparsity >= 0, sparsity < 1 else {
            throw ValidationError("--sparsity must be at least 0 and less than 1, found \(sparsity)")
        }
        _ = try (shape(), weightType())
    }

    private func shape() throws(ValidationError) -> SyntheticShape {
        try named(parameters.lowercased(), "shape", among: SyntheticShape.all.map { ($0.name, $0) })
    }

    private func weightType() throws(ValidationError) -> WeightType {
        try named(type, "type of weights", among: [("f16", .f16), ("bf16", .bf16)])
    }

    func run() throws {
        let console = Console()
        let model = try SyntheticModel(shape: shape(), type: weightType(), sparsity: sparsity, seed: seed)
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let start = ContinuousClock.now
        try interrupts.abandoning {
            defer { progress.finish() }
            try model.write(
                to: ModelRewriter.Destination(
                    path: output.output, overwriting: output.force, companions: { _ in },
                    progress: {
                        progress.update("writing \(parameters)", completed: $0, of: $1, unit: .things("tensors"))
                    },
                    started: { folder in _ = interrupts.register { folder.abandon() } }),
                pool: pool)
        }
        report(model, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    private func report(_ model: SyntheticModel, seconds: Double) {
        let bytes = output.writtenByteCount
        if json {
            let result: JSON = [
                "path": .string(output.output), "shape": .string(model.shape.name),
                "parameters": .integer(model.parameterCount), "type": .string(model.type.rawValue),
                "seed": .string("\(seed)"), "sparsity": .number(sparsity), "bytes": .integer(bytes),
                "seconds": .number(seconds),
            ]
            print(result.text())
            return
        }
        print(
            "wrote \(Format.count(model.parameterCount)) random weights in \(model.type.rawValue), "
                + "\(Format.bytes(bytes)) in \(Format.duration(seconds: seconds)): \(output.output.printable)")
    }

    private static var shapeLines: String {
        SyntheticShape.all.map { shape in
            let name = shape.name + String(repeating: " ", count: 6 - shape.name.count)
            return "  \(name)\(shape.origin)"
        }.joined(separator: "\n")
    }
}
