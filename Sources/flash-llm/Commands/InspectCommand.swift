import ArgumentParser
import OrderedJSON
import Sparse
import Tensors
import Terminal

struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Show what a model is made of, how sparse it is and what packing it saves.",
        discussion: """
            Sparsity is the share of zeros in the matrices that pruning and packing work on: the query, key, value and \
            output projections (q, k, v, o) and the MLP's gate, up and down projections of every layer. The table has \
            one row for the same matrix of all layers: its sparsity in all layers together, in the least and in the \
            most sparse one, the bytes of 16-bit weights and of the packed ones.

            All weights of a model that is not packed are read, to count zeros, and a NaN or an infinity among them is \
            an error. Of models of more than 1 GiB a sample is read, 64 rows of each matrix, unless --exact asks for \
            all. Of a packed model only its description is read, unless --verify asks for more.

            A second table says why: a product takes as long as its bytes take to come from memory or its instructions \
            to run, whichever is longer, and the format of the least predicted time is taken. Of a packed model it \
            shows what was written down when it was packed; for another one this machine is measured, once.

            Examples:
              flash-llm inspect smollm2-135m
              flash-llm inspect ./packed --verify        check every byte of a packed model
              flash-llm inspect ./pruned --all           one row for every matrix
              flash-llm inspect ./pruned --profile server.json       what packing for a server would choose
              flash-llm inspect ./pruned --json | jq .totals.sparsity
              flash-llm inspect ./pruned --json | jq '.matrices[0].candidates'
            """)

    @OptionGroup var model: ModelArgument

    @Flag(help: "Show every matrix, not one row for the same matrix of all layers.")
    var all = false

    @Flag(help: "Read all weights of a large model that is not packed, not a sample.")
    var exact = false

    @Flag(help: "Read a packed model whole and check every checksum and format.")
    var verify = false

    @OptionGroup var profile: ProfileOptions

    @Flag(help: "Print one JSON object; it always has every matrix.")
    var json = false

    func run() throws {
        let console = Console()
        let files = try ModelFiles(path: try model.path(console: console))
        let pool = WorkerPool(threadCount: WorkerPool.availableProcessorCount)
        let progress = ProgressReporter(traits: console.errors)
        defer { progress.finish() }
        // First, so that damage is reported by the tensor that has it and not by what it leads to.
        let verifiedCount =
            try verify
            ? files.verify(pool: pool) { done, total in
                progress.update("verifying", completed: done, of: total, unit: .things("tensors"))
            } : nil
        let costs =
            try files.packed == nil
            ? CostModel(profile: profile.load(threads: pool.threadCount, console: console, progress: progress)) : nil
        var inspection = try ModelInspection(files, costs: costs, exact: exact, pool: pool) { done, total in
            progress.update("reading", completed: done, of: total, unit: .things("tensors"))
        }
        inspection.verifiedCount = verifiedCount
        progress.finish()
        if json {
            print(inspection.json.text())
        } else {
            print(inspection.text(everyMatrix: all, for: console.output), terminator: "")
        }
    }
}
