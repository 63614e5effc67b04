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
        let start = ContinuousClock.now
        let result = try ModelWriting(progress: progress, interrupts: interrupts)(
            label, copying: files, to: output, overwriting: force, write)
        return (result, (ContinuousClock.now - start) / .seconds(1))
    }

    /// Bytes of all files in the written folder.
    var writtenByteCount: Int { Self.byteCount(ofFolder: output) }

    static func byteCount(ofFolder path: String) -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        return names.reduce(0) { sum, name in
            var status = stat()
            return stat("\(path)/\(name)", &status) == 0 ? sum + Int(status.st_size) : sum
        }
    }
}
