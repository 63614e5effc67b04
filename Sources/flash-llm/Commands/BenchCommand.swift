import ArgumentParser

/// `bench MODEL ...` and `bench spmm`.
struct BenchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure models, or single products, in turns.",
        discussion: """
            'flash-llm bench MODEL ...' measures whole models, 'flash-llm bench spmm' products of one matrix in every \
            format. Both measure memory bandwidth in every round and everything else in turns, so that a machine that \
            slows down slows all; both report medians and quartiles, and write --json, --csv and --plot. A model \
            folder that is called spmm is ./spmm.

            Examples:
              flash-llm bench smollm2-135m ./packed
              flash-llm bench smollm2-135m ./packed --full --plot speed.svg
              flash-llm bench spmm --shapes 4096x4096 --plot products.svg
            """,
        subcommands: [BenchModelCommand.self, BenchProductsCommand.self],
        defaultSubcommand: BenchModelCommand.self)
}
