import ArgumentParser
import Checkpoints
import Terminal

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif
#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Where a command writes a model folder, and what surrounds its writing: progress on a terminal, and a Ctrl-C that
/// leaves nothing behind.
struct ModelOutput: ParsableArguments {
    @Option(
        name: [.short, .customLong("output")],
        help: ArgumentHelp("The folder to write. It appears only when it is whole.", valueName: "folder"),
        completion: .directory)
    var output: String

    @Flag(help: "Replace the folder if it is a model already.")
    var force = false

    /// Has `write` make a changed copy of a model.
    /// - Parameters:
    ///   - label: what the progress says: "packing smollm2-135m".
    /// - Returns: what `write` returns, and how long it took.
    func write<Result>(
        _ label: String, copying files: ModelFiles, console: Console,
        _ write: (ModelRewriter.Destination) throws -> Result
    ) throws -> (result: Result, seconds: Double) {
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let tokenizer = try files.tokenizer()
        let start = ContinuousClock.now
        let result = try interrupts.abandoning {
            defer { progress.finish() }
            return try write(
                ModelRewriter.Destination(
                    path: output, overwriting: force, companions: { try tokenizer.write(to: $0) },
                    progress: { done, total in
                        progress.update(label, completed: done, of: total, unit: .things("tensors"))
                    },
                    started: { folder in _ = interrupts.register { folder.abandon() } }))
        }
        return (result, (ContinuousClock.now - start) / .seconds(1))
    }

    /// Bytes of all files in the written folder.
    var writtenByteCount: Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: output)) ?? []
        return names.reduce(0) { sum, name in
            var status = stat()
            return stat("\(output)/\(name)", &status) == 0 ? sum + Int(status.st_size) : sum
        }
    }
}
