import ArgumentParser
import Engine
import Sparse
import Tensors
import Terminal

struct BenchProductsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "spmm",
        abstract: "Measure products of sparse matrices with activations, format against format.",
        discussion: """
            A matrix with zeros at random places is multiplied with the activations of some tokens, by the decoder's \
            own kernels and worker pool. Copies of it that take four times the largest cache are walked over in turn, \
            so that every weight comes from memory. Before anything is timed, each product is checked against one in \
            double precision of the same stored weights and the same quantised activations.

            Timed is what the decoder does behind a norm: the activations are brought into the form that the matrix \
            reads (quantised once for formats of integers; turned into columns where a bitmap has tokens enough to \
            skip its zeros), then multiplied by all threads.

            Gweights/s are 10^9 elements of the matrix a second, zeros included; B/weight the stored bytes of each, \
            scales included. Two ceilings are measured in the same rounds: 'memory' is the share of the bandwidth at \
            which plain loads read; 'compute' the share of the speed that the same kernel reaches on a matrix that \
            lies in the second-level cache, which is what its instructions and the processor's ports allow \
            (activations are ready then). No product passes the lower one: 'bound' is the share of that. Ratios are \
            to dense f16, of integers to dense i8, too, round by round.

            Shapes: rows x columns, or the products of a model: \(setNames).
            Formats: \(names(where: \.isStandard)).
            Only if asked for: \(names { !$0.isStandard }).
            Integers have a scale for 128 columns of a row; -g32: for 32; -row: for the row. '--formats all' is all.

            On a GPU (--device cuda) our layouts are measured beside cuBLAS, cuSPARSE and peers: microseconds, ratios \
            to cuBLAS, and the share of the bandwidth at which a plain kernel reads memory. Formats there: \
            \(GPUProductRun.formatNames.joined(separator: ", ")). Without options it is Flash-LLM's own benchmark: the \
            12 shapes of opt, 50 to 90 % zeros, 1 to 128 tokens.

            Examples:
              flash-llm bench spmm
              flash-llm bench spmm --device cuda --quick --json
              flash-llm bench spmm --device cuda --peer sputnik=libsputnik_peer.so --csv products.csv
              flash-llm bench spmm --shapes smollm2,llama-1.1b --tokens 1,4,16 --threads 1,2
              flash-llm bench spmm --shapes opt --sparsity 0.5,0.6,0.7,0.8,0.9 --memory 16
              flash-llm bench spmm --formats tiled-bitmap-f16,tiled-bitmap-i8,tiled-bitmap-i8-row
              flash-llm bench spmm --csv products.csv --plot products.svg
            """)

    @Option(
        help: ArgumentHelp(
            "Shapes of matrices, or models. (default: 4096x4096,11008x4096; GPU: opt)", valueName: "shape,shape"))
    var shapes: WordList?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Shares of zeros, at least 0 and less than 1. (default: 0.5,0.7,0.9; GPU: 0.6 and 0.8, too)",
            valueName: "share,share"))
    var sparsity: ShareList?

    @Option(
        help: ArgumentHelp(
            "Tokens that are multiplied together. (default: 1,4,16; GPU: 1,2,4,8,16,32,64,128)", valueName: "n,n"))
    var tokens: NumberList?

    @Option(help: ArgumentHelp("Thread counts. (default: one per processor)", valueName: "n,n"))
    var threads = NumberList(values: [WorkerPool.availableProcessorCount])

    @Option(
        help: ArgumentHelp(
            "Formats; dense-f16 is measured, too, and dense-i8 with integers. (default: all but variants)",
            valueName: "name,name"))
    var formats: WordList?

    @Option(help: ArgumentHelp("Counted rounds. (default: 7)", valueName: "n"))
    var rounds: Int?

    @Option(help: ArgumentHelp("Memory for the copies of one matrix in all formats, in GiB.", valueName: "n"))
    var memory = 4

    @Option(
        help: ArgumentHelp("Use the kernels of this instruction set, whatever FLASH_LLM_ISA says.", visibility: .hidden)
    )
    var instructionSet: String?

    @OptionGroup var gpu: GPUProductOptions

    @OptionGroup var reports: BenchmarkReports

    func validate() throws {
        if let rounds, !(1...100_000).contains(rounds) {
            throw ValidationError("--rounds must be in 1...100000, found \(rounds)")
        }
        if !(1...4096).contains(memory) { throw ValidationError("--memory must be in 1...4096 GiB, found \(memory)") }
        _ = try instructionSet.map(kernels(ofInstructionSet:))
        _ = try chosenShapes(shapes?.words ?? [])
        if let run = try gpuRun() { try run.check() } else { _ = try candidates() }
    }

    /// Nil for the CPU.
    private func gpuRun() throws(ValidationError) -> GPUProductRun? {
        guard case .cuda(let ordinal) = gpu.device else { return nil }
        return GPUProductRun(
            ordinal: ordinal, options: gpu, shapes: try (shapes?.words).map(chosenShapes),
            sparsities: sparsity?.values, tokens: tokens?.values, formats: formats?.words, rounds: rounds)
    }

    private func chosenShapes(_ words: [String]) throws(ValidationError) -> [ProductShape] {
        var chosen: [ProductShape] = []
        for word in words {
            guard let named = ProductShape.named(word) else {
                let nearest = Suggestions.nearest(to: word, in: ProductShape.sets.map(\.name))
                throw ValidationError(
                    "there is no shape '\(word)': "
                        + (nearest.map { "did you mean '\($0)'?" }
                            ?? "expected rows x columns such as 4096x4096, or one of \(Self.setNames)"))
            }
            chosen += named.filter { !chosen.contains($0) }
        }
        return chosen
    }

    private func candidates() throws(ValidationError) -> [ProductCandidate] {
        guard let formats else { return ProductCandidate.all.filter(\.isStandard) }
        if formats.words == ["all"] { return ProductCandidate.all }
        let all = ProductCandidate.all.map { ($0.name, $0) }
        let chosen = try formats.words.map { word throws(ValidationError) in try named(word, "format", among: all) }
        var names = Set(chosen.map(\.name) + [ProductCandidate.baseline])
        if chosen.contains(where: \.isInteger) { names.insert(ProductCandidate.integerBaseline) }
        return ProductCandidate.all.filter { names.contains($0.name) }
    }

    func run() throws {
        let console = Console()
        try reports.check()
        if let run = try gpuRun() { return try measure(run, console) }
        var benchmark = ProductBenchmark()
        benchmark.shapes = try chosenShapes(shapes?.words ?? ["4096x4096", "11008x4096"])
        benchmark.candidates = try candidates()
        benchmark.sparsities = sparsity?.values.sorted() ?? [0.5, 0.7, 0.9]
        benchmark.tokens = tokens?.values ?? [1, 4, 16]
        benchmark.threadCounts = threads.values
        benchmark.rounds = rounds ?? 7
        benchmark.memoryByteLimit = memory << 30
        if let instructionSet, let kernels = Kernels(instructionSet: instructionSet) { benchmark.kernels = kernels }
        let progress = ProgressReporter(traits: console.errors)
        defer { progress.finish() }
        let measurements = try benchmark.run { done, total in
            progress.update("measuring", completed: done, of: total, unit: .things("rounds"))
        }
        progress.finish()
        let results = ProductResults(
            measurements: measurements, rounds: benchmark.rounds, instructionSet: benchmark.kernels.instructionSet,
            caches: benchmark.caches)
        try reports.write(
            json: results.json, table: results.table(for: console.output), csv: results.csv, figure: results.figure)
    }

    /// A wrong result ends the command with a failure, behind the report of what was right.
    private func measure(_ run: GPUProductRun, _ console: Console) throws {
        let results = try run.results(console: console)
        try reports.write(
            json: results.json, table: results.table(for: console.output), csv: results.csv, figure: results.figure)
        if let first = results.report.failures.first { throw CommandFailure(first) }
    }

    private static func names(where isIncluded: (ProductCandidate) -> Bool) -> String {
        ProductCandidate.all.filter(isIncluded).map(\.name).joined(separator: ", ")
    }

    private static var setNames: String { ProductShape.sets.map(\.name).joined(separator: ", ") }
}
