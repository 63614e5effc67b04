import ArgumentParser
import Checkpoints
import Engine
import OrderedJSON
import Tensors
import Terminal
import Transformer

struct ExportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "export",
        abstract: "Write a model for other programs: safetensors, compressed-tensors or GGUF.",
        discussion: """
            Exports what any other command opens: pruned, recovered, packed or as it was pulled. Zeros stay zeros. \
            Weights that are packed as floats come out as they went in; integers become the floats that they stand for.

            Formats:
              safetensors         dense weights, as 'transformers' opens them
              compressed-tensors  the matrices that pruning works on without their
                                  zeros, as bitmaps ("sparse-bitmask"), for
                                  compressed-tensors 0.9 to 0.14
              gguf                one file, as llama.cpp opens it; zeros take as
                                  much space there as other weights
            The default is gguf where the output's name ends in .gguf, else safetensors.

            Types: f16, bf16, f32, and for gguf q8_0 (8-bit integers in blocks of 32, rounded). By default weights \
            keep their type; integers and weights of quantised GGUF files become f16. Vectors are f32 in a GGUF file, \
            whatever the type.

            Examples:
              flash-llm export pruned -o pruned-dense
              flash-llm export packed -o sparse --format compressed-tensors
              flash-llm export pruned -o pruned.gguf
              flash-llm export pruned -o pruned-q8.gguf --type q8_0
              flash-llm export packed -o dense --type bf16 --force --json
            """)

    enum Format: String, CaseIterable {
        case safetensors
        case compressedTensors = "compressed-tensors"
        case gguf
    }

    @OptionGroup var model: ModelArgument

    @Option(
        name: [.short, .customLong("output")],
        help: ArgumentHelp(
            "The folder to write, or the file for gguf. It appears only when it is whole.", valueName: "path"),
        completion: .file())
    var output: String

    @Option(help: "safetensors, compressed-tensors or gguf. (default: by the output's name)")
    var format: String?

    @Option(help: "f16, bf16, f32, or for gguf q8_0. (default: as stored)")
    var type: String?

    @Flag(help: "Replace the folder if it is a model already, or the file.")
    var force = false

    @Flag(help: "Print one JSON object: path, format, type, tensors, parameters, sparse, bytes, seconds.")
    var json = false

    private func chosenFormat() throws(ValidationError) -> Format {
        guard let format else { return output.hasSuffix(".gguf") ? .gguf : .safetensors }
        return try named(format, "format", among: Format.allCases.map { ($0.rawValue, $0) })
    }

    /// nil for the type that weights have.
    private func chosenType() throws(ValidationError) -> GGUFExporter.MatrixType? {
        guard let type else { return nil }
        return try named(type, "type", among: GGUFExporter.MatrixType.allCases.map { ($0.rawValue, $0) })
    }

    func validate() throws {
        let (format, type) = (try chosenFormat(), try chosenType())
        if format != .gguf, type == .q8_0 {
            throw ValidationError("--type q8_0 is for --format gguf, and the format is \(format.rawValue)")
        }
        if format != .gguf, output.hasSuffix(".gguf") {
            throw ValidationError("the output of --format \(format.rawValue) is a folder, not a .gguf file")
        }
    }

    func run() throws {
        let console = Console()
        let files = try ModelFiles(path: try model.path(console: console))
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let start = ContinuousClock.now
        let format = try chosenFormat()
        var result: ExportResult
        switch format {
        case .safetensors, .compressedTensors:
            result = try exportFolder(files, sparse: format == .compressedTensors, pool: pool, console: console)
        case .gguf: result = try exportFile(files, pool: pool, console: console)
        }
        result.seconds = (ContinuousClock.now - start) / .seconds(1)
        print(json ? result.json.text() + "\n" : result.text, terminator: "")
    }

    private func exportFolder(
        _ files: ModelFiles, sparse: Bool, pool: WorkerPool, console: Console
    ) throws -> ExportResult {
        let exporter = try ModelExporter(
            files.checkpoint, matrices: files.layout.projections.map(\.name), pool: pool)
        let type = try chosenType().flatMap { WeightType(rawValue: $0.rawValue) }
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let report = try ModelWriting(progress: progress, interrupts: interrupts)(
            "exporting \(model.model)", copying: files, to: output, overwriting: force
        ) {
            sparse
                ? try exporter.writeCompressedTensors(to: $0, type: type)
                : try exporter.writeSafetensors(to: $0, type: type)
        }
        return ExportResult(
            path: output, format: try chosenFormat().rawValue, type: self.type, tensorCount: report.tensorCount,
            parameterCount: report.elementCount, byteCount: ModelOutput.byteCount(ofFolder: output),
            sparse: sparse ? report : nil)
    }

    private func exportFile(_ files: ModelFiles, pool: WorkerPool, console: Console) throws -> ExportResult {
        let exporter = try GGUFExporter(files.checkpoint, pool: pool)
        let configuration = files.configuration
        let tokenizer = try files.tokenizer().ggufTokenizer(
            of: files.checkpoint, vocabularySize: configuration.vocabularySize)
        let traits = try configuration.ggufTraits(storedFactors: try rotaryFactors(files))
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let destination = GGUFExporter.Destination(
            path: output, overwriting: force,
            progress: { progress.update("exporting \(model.model)", completed: $0, of: $1, unit: .things("tensors")) },
            started: { partial in _ = interrupts.register { GGUFExporter.remove(unfinished: partial) } })
        let report = try interrupts.abandoning {
            defer { progress.finish() }
            return try exporter.write(
                to: destination, name: Self.modelName(model.model), type: try chosenType(), tokenizer: tokenizer,
                traits: traits)
        }
        return ExportResult(
            path: output, format: Format.gguf.rawValue, type: type, tensorCount: report.tensorCount,
            parameterCount: report.elementCount, byteCount: report.byteCount, sparse: nil)
    }

    /// A GGUF file's own factors; nil if there are none.
    private func rotaryFactors(_ files: ModelFiles) throws -> [Float]? {
        let name = "rope_freqs.weight"
        guard let stored = files.checkpoint[name] else { return nil }
        let factors = AlignedBuffer<Float>(uninitializedCount: stored.elementCount)
        try files.checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(factors.elements))
        return Array(factors.frozen())
    }

    /// The last part of the path or name that the person gave.
    private static func modelName(_ model: String) -> String {
        let name = model.split(separator: "/").last.map(String.init) ?? model
        return name.hasSuffix(".gguf") ? String(name.dropLast(5)) : name
    }
}
