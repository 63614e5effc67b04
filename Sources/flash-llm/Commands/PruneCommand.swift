import ArgumentParser
import OrderedJSON
import Pruning
import Tensors
import Terminal

struct PruneCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "prune",
        abstract: "Set the least important weights of a model to zero.",
        discussion: """
            Pruned are the query, key, value and output projections and the MLP's gate, up and down projections of \
            every layer, each output row to the same sparsity. Embeddings, norms and the head stay as they are. The \
            result is an ordinary model folder (config.json, model.safetensors, tokenizer files), as large as before: \
            'flash-llm pack' makes it small.

            Methods:
            \(methodLines)

            Examples:
              flash-llm prune smollm2-135m --sparsity 0.3 -o pruned
              flash-llm prune ./model --sparsity 0.5 --method magnitude -o pruned
              flash-llm prune ./model --sparsity 0.5 -o pruned --force --json | jq .zeros
            """)

    @OptionGroup var model: ModelArgument

    // Unconditional, so that -0.1 is refused as a number and not taken for an option.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The share of zeros: at least 0, less than 1; 0.5 zeroes half of the weights."))
    var sparsity: Double

    @Option(help: "How to choose the weights.")
    var method = PruningMethod.magnitude.rawValue

    @OptionGroup var output: ModelOutput

    @Flag(help: "Print one JSON object: path, method, sparsity, matrices, elements, zeros, bytes, seconds.")
    var json = false

    func validate() throws {
        guard sparsity >= 0, sparsity < 1 else {
            let hint =
                sparsity > 1 && sparsity < 100
                ? " (\(Format.percentage(sparsity / 100, decimals: 0)) is \(sparsity / 100))" : ""
            throw ValidationError("--sparsity must be at least 0 and less than 1, found \(sparsity)\(hint)")
        }
        _ = try chosenMethod()
    }

    private func chosenMethod() throws(ValidationError) -> PruningMethod {
        try named(method, "pruning method", among: PruningMethod.allCases.map { ($0.rawValue, $0) })
    }

    func run() throws {
        let console = Console()
        let files = try ModelFiles(path: try model.path(console: console))
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let pruner = ModelPruner(
            files.checkpoint, matrices: files.layout.projections.map(\.name), pruner: try chosenMethod().makePruner(),
            pool: pool)
        let (reports, seconds) = try output.write("pruning \(model.model)", copying: files, console: console) {
            try pruner.prune(to: $0, sparsity: sparsity)
        }
        report(reports, seconds: seconds)
    }

    private func report(_ reports: [ModelPruner.Report], seconds: Double) {
        let elements = reports.reduce(0) { $0 + $1.elementCount }
        let zeros = reports.reduce(0) { $0 + $1.zeroCount }
        let share = Double(zeros) / Double(max(elements, 1))
        if json {
            let result: JSON = [
                "path": .string(output.output),
                "method": .string(method),
                "target_sparsity": .number(sparsity),
                "sparsity": .number(share),
                "matrices": .integer(reports.count),
                "elements": .integer(elements),
                "zeros": .integer(zeros),
                "bytes": .integer(output.writtenByteCount),
                "seconds": .number(seconds),
            ]
            print(result.text())
            return
        }
        print(
            "pruned \(reports.count) matrices by \(method): \(Format.count(zeros)) of \(Format.count(elements)) "
                + "weights are zero (sparsity \(Format.percentage(share)))")
        print(
            "wrote \(Format.bytes(output.writtenByteCount)) in \(Format.duration(seconds: seconds)): "
                + output.output.printable)
    }

    private static var methodLines: String {
        PruningMethod.allCases.map { "  \($0.rawValue)  \($0.summary)" }.joined(separator: "\n")
    }
}
