import ArgumentParser
import Checkpoints
import OrderedJSON
import Sparse
import Tensors
import Terminal

struct PackCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pack",
        abstract: "Write a pruned model in formats that take no space for its zeros.",
        discussion: """
            Packed are the matrices that pruning works on; everything else is copied. The result is a model folder \
            whose config.json describes the formats and holds a checksum of every tensor ('flash-llm inspect --verify' \
            checks them). It runs as it is, mapped into memory. Packing loses nothing: every weight stays what it was \
            in 16 bits.

            Formats:
              auto          for each matrix the one of the fewest bytes
              tiled-bitmap  1 bit per weight and 16 per nonzero: smaller than dense
                            from a sparsity of about 7 % on
              sliced-ellpack
                            24 bits per nonzero: smaller than tiled-bitmap from a
                            sparsity of about 88 % on
              tiled-csl     32 bits per nonzero, the Flash-LLM paper's format:
                            smaller than dense from a sparsity of about 50 % on
              dense         16 bits per weight

            Examples:
              flash-llm pack pruned -o packed
              flash-llm pack pruned -o packed --force --format tiled-csl
              flash-llm pack pruned -o packed --json | jq .totals
            """)

    @OptionGroup var model: ModelArgument

    @Option(help: "auto, tiled-bitmap, sliced-ellpack, tiled-csl or dense.")
    var format = automaticName

    @OptionGroup var output: ModelOutput

    @Flag(help: "Print one JSON object: path, requested_format, formats, totals, matrices, bytes, seconds.")
    var json = false

    private static let automaticName = "auto"

    func validate() throws { _ = try choice() }

    private func choice() throws(ValidationError) -> FormatChoice {
        let formats = PackedFormat.allCases.map { (name: $0.rawValue, value: FormatChoice.fixed($0)) }
        return try named(format, "format", among: [(Self.automaticName, .automatic)] + formats)
    }

    func run() throws {
        let console = Console()
        let files = try ModelFiles(path: try model.path(console: console))
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let packer = ModelPacker(files.checkpoint, matrices: files.layout.projections.map(\.name), pool: pool)
        let choice = try choice()
        let (reports, seconds) = try output.write("packing \(model.model)", copying: files, console: console) {
            try packer.pack(to: $0, choice: choice)
        }
        let result = PackResult(
            requestedFormat: format, path: output.output, reports: reports, folderByteCount: output.writtenByteCount,
            seconds: seconds)
        print(json ? result.json.text() + "\n" : result.text(for: console.output), terminator: "")
    }
}
