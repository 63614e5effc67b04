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
            checks them). It runs as it is, mapped into memory. Packing with values of f16 loses nothing: every weight \
            stays what it was in 16 bits. Integers make the model smaller and faster, and cost accuracy: measure with \
            'flash-llm perplexity'. Weights that round to zero take no space in a bitmap.

            Formats:
              auto          for each matrix the one of the least predicted time
                            among those that hold the values asked for, by how
                            fast this machine was measured to be ('flash-llm
                            profile'), or the machine of --profile
              smallest      for each matrix the one of the fewest bytes: the same
                            on every machine
              tiled-bitmap  1 bit per weight and a value per nonzero: smaller than
                            dense from a sparsity of about 7 % on with values of
                            16 bits, of 13 % with i8, of 25 % with i4
              sliced-ellpack
                            24 bits per nonzero: smaller than tiled-bitmap from a
                            sparsity of about 88 % on; f16 only
              tiled-csl     32 bits per nonzero, the Flash-LLM paper's format:
                            smaller than dense from a sparsity of about 50 % on;
                            f16 only
              dense         a value per weight

            Values:
              f16           16-bit floats, as they are (bf16 where stored so)
              i16           16-bit integers: as accurate, faster to multiply
              i8            8-bit integers
              i4            4-bit integers
            Integers come with a 16-bit scale for every group of weights of a row: 32, 64 or 128 columns, or the \
            whole row. Smaller groups are more accurate and take more space.

            Examples:
              flash-llm pack pruned -o packed
              flash-llm pack pruned -o packed --values i8 --head i8
              flash-llm pack pruned -o packed --values i4 --group 32
              flash-llm pack pruned -o packed --force --format tiled-csl
              flash-llm pack pruned -o packed --tokens 1,16        also for batches
              flash-llm pack pruned -o packed --profile server.json
              flash-llm pack pruned -o packed --json | jq .totals
            """)

    @OptionGroup var model: ModelArgument

    @Option(help: "auto, smallest, tiled-bitmap, sliced-ellpack, tiled-csl or dense.")
    var format = automaticName

    @Option(
        help: ArgumentHelp(
            "Tokens of the products that --format auto makes fast: 1 is decoding one sequence. (default: 1)",
            valueName: "n,n"))
    var tokens: NumberList?

    @OptionGroup var profile: ProfileOptions

    @Option(help: "What weights are stored as: f16, i16, i8 or i4.")
    var values = exactName

    @Option(help: ArgumentHelp("Columns that share a scale: 32, 64, 128 or row.", valueName: "columns"))
    var group = ScaleGroup.columns128.rawValue

    @Option(help: "What the embedding table and the output head are stored as: f16, i8 or i4; they stay dense.")
    var head = exactName

    @OptionGroup var output: ModelOutput

    @Flag(help: "Print one JSON object: path, requested_format, formats, totals, matrices, bytes, seconds.")
    var json = false

    private static let automaticName = "auto"
    private static let smallestName = "smallest"
    private static let exactName = "f16"

    func validate() throws {
        _ = try valueChoice(head, "type of head", QuantizedCoding.allCases.filter { $0 != .i16 })
        let exact = try valueChoice(values, "type of values", QuantizedCoding.allCases) == .exact
        let format = try fixedFormat()
        if case .fixed(let format) = format, !exact, !format.holdsIntegers {
            throw ValidationError("--format \(format.rawValue) stores f16 only, and --values is \(values)")
        }
        if format != nil, tokens != nil || profile.profile != nil {
            throw ValidationError("--tokens and --profile are for --format auto, and --format is \(self.format)")
        }
        if let tokens, !(1...16).contains(tokens.values.count) {
            throw ValidationError("--tokens must be 1 to 16 numbers, found \(tokens.values.count)")
        }
    }

    private func valueChoice(
        _ word: String, _ what: String, _ codings: [QuantizedCoding]
    ) throws(ValidationError) -> ValueChoice {
        let group = try ScaleGroup.named(group)
        let integers = codings.map { (name: $0.rawValue, value: ValueChoice.quantized($0, group)) }
        return try named(word, what, among: [(Self.exactName, .exact)] + integers)
    }

    /// nil for the one that the cost model chooses.
    private func fixedFormat() throws(ValidationError) -> FormatChoice? {
        let formats = PackedFormat.allCases.map { (name: $0.rawValue, value: FormatChoice?.some(.fixed($0))) }
        return try named(
            format, "format", among: [(Self.automaticName, nil), (Self.smallestName, .smallest)] + formats)
    }

    /// Measures this machine if the choice depends on it.
    private func choice(threads: Int, console: Console) throws -> FormatChoice {
        if let fixed = try fixedFormat() { return fixed }
        let profile = try profile.load(
            threads: threads, console: console, progress: ProgressReporter(traits: console.errors))
        return .fastest(CostModel(profile: profile, tokenCounts: tokens?.values ?? [1]))
    }

    func run() throws {
        let console = Console()
        let files = try ModelFiles(path: try model.path(console: console))
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let packer = ModelPacker(
            files.checkpoint, matrices: files.layout.projections.map(\.name), tables: files.layout.tables, pool: pool)
        let choice = try choice(threads: pool.threadCount, console: console)
        let values = try valueChoice(values, "type of values", QuantizedCoding.allCases)
        let tableValues = try valueChoice(head, "type of head", QuantizedCoding.allCases)
        let (reports, seconds) = try output.write("packing \(model.model)", copying: files, console: console) {
            try packer.pack(to: $0, choice: choice, values: values, tableValues: tableValues)
        }
        let result = PackResult(
            requestedFormat: format, choice: choice, path: output.output, reports: reports,
            folderByteCount: output.writtenByteCount,
            seconds: seconds)
        print(json ? result.json.text() + "\n" : result.text(for: console.output), terminator: "")
    }
}
