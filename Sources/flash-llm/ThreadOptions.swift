import ArgumentParser
import Tensors

/// How many threads a command computes with.
struct ThreadOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Threads to compute with. (default: one per processor)", valueName: "n"))
    var threads: Int?

    func validate() throws { try Self.check(threads) }

    /// - Throws: `ValidationError` for a number that no pool can have.
    static func check(_ threads: Int?) throws(ValidationError) {
        if let threads, !(1...1024).contains(threads) {
            throw ValidationError("--threads must be in 1...1024, found \(threads)")
        }
    }

    func makePool() -> WorkerPool { WorkerPool(threadCount: threads ?? WorkerPool.availableProcessorCount) }
}
