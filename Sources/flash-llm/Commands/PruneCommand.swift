import ArgumentParser
import Checkpoints
import LinearAlgebra
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
            every layer. Embeddings, norms and the head stay as they are. The result is an ordinary model folder \
            (config.json, model.safetensors, tokenizer files), as large as before: 'flash-llm pack' makes it small.

            Methods that look at activations need texts. By default the model writes them itself, which needs no \
            data set; with --calibration they come from files.

            A run that is interrupted goes on where it was: finished layers wait in OUTPUT.unfinished until the same \
            command is given again.

            Methods:
            \(methodLines)

            Examples:
              flash-llm prune smollm2-135m --sparsity 0.3 -o pruned
              flash-llm prune ./model --sparsity 0.5 --method sparsegpt -o pruned
              flash-llm prune ./model --sparsity 0.5 --method wanda --calibration book.txt -o pruned
              flash-llm prune ./model --sparsity 0.5 --method sparsegpt --recover 15m -o pruned
              flash-llm prune ./model --sparsity 0.7 --method alps -o pruned
              flash-llm prune ./model --method sparsegpt --structure 2:4 -o pruned
              flash-llm prune ./model --budget 1.2x --method sparsegpt -o pruned
              flash-llm prune ./model --budget 90MB --head i8 --values i8 --method alps -o pruned
              flash-llm prune ./model --sparsity 0.5 --method alps --values i4 -o pruned
              flash-llm prune ./model --sparsity 0.5 -o pruned --force --json | jq .zeros
            """)

    @OptionGroup var model: ModelArgument

    // Unconditional, so that -0.1 is refused as a number and not taken for an option.
    @Option(
        parsing: .unconditional,
        help: ArgumentHelp("The share of zeros: at least 0, less than 1; 0.5 zeroes half of the weights."))
    var sparsity: Double?

    @OptionGroup var budget: BudgetOptions

    @Option(help: "How to choose the weights.")
    var method = PruningMethod.magnitude.rawValue

    @Option(
        help: ArgumentHelp(
            "Which weights share a number of zeros: a row, the matrix, or N of M neighbours (N:M). (default: what the "
                + "method's authors do)", valueName: "row|matrix|N:M"))
    var structure = "auto"

    @Option(
        help: ArgumentHelp(
            "Fit each matrix to what the pruned ones before it give, or all of a layer to the dense layer's.",
            valueName: "matrix|layer"))
    var order = PruningOrder.matrix.rawValue

    @Option(
        help: ArgumentHelp(
            "How zeros are spread over matrices: \(allocationNames). (default: fisher for methods that move weights, "
                + "else uniform)", valueName: "allocation"))
    var allocation: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "How far a matrix makes up for what the ones before it lost: 0 not at all, as the methods' authors do, 1 "
                + "as far as it can.", valueName: "0...1"))
    var compensation = ModelPruner.defaultCompensation

    @OptionGroup var values: ValueOptions

    @OptionGroup var calibration: CalibrationOptions

    @Option(
        help: ArgumentHelp(
            "Then train what is left on the dense model's answers, for so many steps, or minutes: 200 or 15m.",
            valueName: "n|minutes"), transform: RecoverCommand.length)
    var recover: RecoveryLength?

    @OptionGroup var threads: ThreadOptions

    @OptionGroup var output: ModelOutput

    @Flag(
        inversion: .prefixedNo,
        help: "Write report.json and report.html beside the model: every matrix, and the model before and after.")
    var report = true

    @Flag(
        help: ArgumentHelp(
            "Print one JSON object: path, method, sparsity, matrices, elements, zeros, recovery, perplexity_before, "
                + "perplexity_after, bytes, seconds."))
    var json = false

    func validate() throws {
        if let sparsity, !(sparsity >= 0 && sparsity < 1) {
            let hint =
                sparsity > 1 && sparsity < 100
                ? " (\(Format.percentage(sparsity / 100, decimals: 0)) is \(sparsity / 100))" : ""
            throw ValidationError("--sparsity must be at least 0 and less than 1, found \(sparsity)\(hint)")
        }
        guard compensation >= 0, compensation <= 1 else {
            throw ValidationError("--compensation must be in 0...1, found \(compensation)")
        }
        _ = try chosenMethod()
        _ = try chosenOrder()
        _ = try chosenAllocation()
        if budget.budget == nil {
            _ = try target()
        } else if sparsity != nil || MaskStructure(structure)?.sparsity != nil {
            throw ValidationError("--budget decides on the share of zeros: leave out --sparsity and N:M structures")
        }
        _ = try values.grid()
    }

    private func chosenMethod() throws(ValidationError) -> PruningMethod {
        try named(method, "pruning method", among: PruningMethod.allCases.map { ($0.rawValue, $0) })
    }

    private func chosenOrder() throws(ValidationError) -> PruningOrder {
        try named(order, "order of pruning", among: PruningOrder.allCases.map { ($0.rawValue, $0) })
    }

    private func chosenAllocation() throws(ValidationError) -> SparsityAllocation {
        guard let allocation else {
            return .usual(for: try chosenMethod(), MaskStructure(structure) ?? .automatic)
        }
        return try named(allocation, "allocation", among: SparsityAllocation.allCases.map { ($0.rawValue, $0) })
    }

    /// - Parameter fitting: the share of zeros that a budget leads to.
    private func target(fitting: Double? = nil) throws(ValidationError) -> PruningTarget {
        guard let structure = MaskStructure(structure) else {
            throw ValidationError(
                "--structure must be row, matrix or a pattern such as 2:4, where 2 of 4 become zero, found "
                    + "'\(structure)'")
        }
        if let share = structure.sparsity {
            if let sparsity, sparsity != share {
                throw ValidationError(
                    "--structure \(self.structure) is a sparsity of \(share), found --sparsity \(sparsity)")
            }
            return PruningTarget(sparsity: share, structure: structure)
        }
        guard let sparsity = sparsity ?? fitting else {
            throw ValidationError("--sparsity is missing: the share of zeros, such as 0.5 (or --budget)")
        }
        return PruningTarget(sparsity: sparsity, structure: structure)
    }

    func run() throws {
        let console = Console()
        let path = try model.path(console: console)
        let files = try ModelFiles(path: path)
        let pool = threads.makePool()
        let method = try chosenMethod()
        let progress = ProgressReporter(traits: console.errors)
        func tokens(for use: CalibrationOptions.Use, sequences: Int? = nil) throws -> CalibrationTokens {
            try self.calibration.tokens(
                files, path: path, for: use, sequences: sequences, pool: pool, progress: progress)
        }
        let label = "pruning \(model.model)"
        let needsTokens = ModelPruner.needsTokens(method, try chosenAllocation(), try values.grid())
        let budget = try budget.budget(
            files.configuration, path: path, values: try values.grid(), pool: pool, console: console,
            progress: progress)
        let fitting = try budget?.uniformSparsity()
        let calibration = needsTokens ? try tokens(for: .pruning, sequences: self.calibration.samples) : nil
        let recovery = try recover.map {
            ModelPruner.RecoveryPlan(length: $0, calibration: try tokens(for: .recovery($0)))
        }
        func prune(_ sparsity: Double?, to destination: ModelRewriter.Destination) throws -> ModelPruner.Report {
            try ModelPruner(
                files.checkpoint, configuration: files.configuration, method: method,
                target: try target(fitting: sparsity), order: try chosenOrder(), compensation: compensation,
                allocation: try chosenAllocation(), budget: budget, values: try values.grid(), calibration: calibration,
                recovery: recovery, arithmetic: Arithmetic(pool: pool)
            ).prune(to: destination) { progress.update($0, of: model.model) }
        }
        let (result, seconds) = try output.write(label, copying: files, console: console) { destination in
            guard let bound = self.budget.budget?.bound else { return try prune(fitting, to: destination) }
            return try BoundedPruning(
                bound: bound, path: path, text: try self.budget.budgetText.map(TextFile.read), pool: pool,
                progress: progress
            )(to: destination) { try prune($0, to: $1) }
        }
        let quality =
            report ? try QualityComparison(before: path, after: output.output, pool: pool, progress: progress) : nil
        if report {
            try PruningReport(
                model: model.model, settings: try settings(), result: result, quality: quality, seconds: seconds
            ).write(to: output.output)
        }
        say(result, quality: quality, seconds: seconds)
    }

    private func settings() throws(ValidationError) -> [(name: String, value: String)] {
        [
            ("method", method),
            (
                "sparsity",
                sparsity.map { "\($0)" } ?? budget.budget.map { "by a budget: \($0.description)" } ?? structure
            ), ("structure", structure),
            ("allocation", try chosenAllocation().rawValue), ("order", order), ("compensation", "\(compensation)"),
            ("values", values.description),
            ("recover", recover?.description ?? "none"), ("seed", "\(calibration.seed)"),
            (
                "texts",
                calibration.calibrationTokens ?? (calibration.calibration + ["the model's own"]).joined(separator: ", ")
            ),
        ]
    }

    private func say(_ report: ModelPruner.Report, quality: QualityComparison?, seconds: Double) {
        if json {
            let result: JSON = [
                "path": .string(output.output),
                "method": .string(method),
                "target_sparsity": .number(sparsity ?? report.sparsity),
                "sparsity": .number(report.sparsity),
                "matrices": .integer(report.matrices.count),
                "elements": .integer(report.elementCount),
                "zeros": .integer(report.zeroCount),
                "recovery": report.recovery?.json ?? .null,
                "perplexity_before": quality.map { .number($0.before.perplexity) } ?? .null,
                "perplexity_after": quality.map { .number($0.after.perplexity) } ?? .null,
                "bytes": .integer(output.writtenByteCount),
                "seconds": .number(seconds),
            ]
            print(result.text())
            return
        }
        print(
            "pruned \(report.matrices.count) matrices by \(method): \(Format.count(report.zeroCount)) of "
                + "\(Format.count(report.elementCount)) weights are zero (sparsity "
                + "\(Format.percentage(report.sparsity)))")
        if let recovery = report.recovery { print(recovery.summary) }
        if let quality {
            print(
                "perplexity on a short text: \(Format.fixed(quality.before.perplexity, decimals: 2)) -> "
                    + "\(Format.fixed(quality.after.perplexity, decimals: 2)); more in "
                    + "\(output.output.printable)/\(PruningReport.names[1])")
        }
        print(
            "wrote \(Format.bytes(output.writtenByteCount)) in \(Format.duration(seconds: seconds)): "
                + output.output.printable)
    }

    private static var allocationNames: String {
        SparsityAllocation.allCases.map { "\($0.rawValue), \($0.summary)" }.joined(separator: "; ")
    }

    private static var methodLines: String {
        PruningMethod.allCases.map { "  \($0.rawValue)  \($0.summary)" }.joined(separator: "\n")
    }
}
