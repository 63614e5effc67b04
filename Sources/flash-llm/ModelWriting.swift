import Checkpoints
import Terminal

/// What surrounds the writing of a model folder: progress on a terminal, and a Ctrl-C that leaves nothing behind.
struct ModelWriting {
    let progress: ProgressReporter
    let interrupts: InterruptHandler

    /// Has `write` make a changed copy of a model at `path`.
    /// - Parameter label: what the progress says: "packing smollm2-135m".
    func callAsFunction<Result>(
        _ label: String, copying files: ModelFiles, to path: String, overwriting: Bool,
        _ write: (ModelRewriter.Destination) throws -> Result
    ) throws -> Result {
        let tokenizer = try files.tokenizer()
        return try interrupts.abandoning {
            defer { progress.finish() }
            return try write(
                ModelRewriter.Destination(
                    path: path, overwriting: overwriting, companions: { try tokenizer.write(to: $0) },
                    progress: { progress.update(label, completed: $0, of: $1, unit: .things("tensors")) },
                    started: { folder in _ = interrupts.register { folder.abandon() } }))
        }
    }
}
