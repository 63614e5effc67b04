import Foundation
import ModelFixtures
import TestSupport
import Testing

/// Ctrl-C during prune and pack: the output is whole or not there at all.
@Suite(.timeLimit(.minutes(20))) struct InterruptionTests {
    private let scratch = ScratchFolder()

    private static let commands = [["prune", "model", "--sparsity", "0.5"], ["pack", "model"]]

    private var partialFolders: [String] { scratch.entries().filter { $0.hasPrefix(".out.") } }

    /// Waits until the tool prepares its folder, or is done.
    private func waitForPartialFolder(_ process: Process) {
        while process.isRunning, partialFolders.isEmpty { usleep(100) }
    }

    /// Checks what a run that was interrupted has left.
    /// - Returns: whether it was stopped before its output was whole.
    private func isStopped(_ outcome: Tool.Outcome, by signal: Int32 = SIGINT) throws -> Bool {
        #expect([0, 128 + signal].contains(outcome.status), "\(outcome.errors)")
        #expect(outcome.errors == "")
        if scratch.entries() == ["model"] {
            #expect(outcome.status == 128 + signal)
            return true
        }
        #expect(scratch.entries() == ["model", "out"])
        #expect(try Tool.run("inspect", "out", in: scratch).status == 0)
        try FileManager.default.removeItem(atPath: scratch.path("out"))
        return false
    }

    /// Freezes the tool in the middle of its writing and delivers the signal there.
    @Test(arguments: commands, [SIGINT, SIGTERM]) func leavesNothingBehind(command: [String], signal: Int32) throws {
        try TinyModel(type: .f16, sparsity: 0.5).write(to: scratch.path("model"))
        var stopped = 0
        for _ in 0..<100 where stopped < 5 {
            let run = try Tool.start(command + ["-o", "out"], in: scratch)
            let identifier = run.process.processIdentifier
            waitForPartialFolder(run.process)
            kill(identifier, SIGSTOP)
            let isInTheMiddle = !partialFolders.isEmpty
            kill(identifier, signal)
            kill(identifier, SIGCONT)
            if try isStopped(try run.wait(), by: signal) {
                #expect(isInTheMiddle)
                stopped += 1
            }
        }
        #expect(stopped == 5)
    }

    /// At any moment, from the first instruction to the last.
    @Test(arguments: commands) func mayComeAtAnyTime(command: [String]) throws {
        try TinyModel(type: .f16, sparsity: 0.5).write(to: scratch.path("model"))
        var generator = SplitMix64(seed: 5)
        for _ in 0..<20 {
            let run = try Tool.start(command + ["-o", "out"], in: scratch)
            waitForPartialFolder(run.process)
            usleep(.random(in: 0...20_000, using: &generator))
            kill(run.process.processIdentifier, SIGINT)
            _ = try isStopped(try run.wait())
        }
    }

    /// A model that is being replaced is there at every moment, the old or the new one.
    @Test func keepsTheModelThatIsReplaced() throws {
        try TinyModel(type: .f16, sparsity: 0.5).write(to: scratch.path("model"))
        #expect(try Tool.run("pack", "model", "-o", "out", in: scratch).status == 0)
        var generator = SplitMix64(seed: 6)
        for _ in 0..<20 {
            let run = try Tool.start(["pack", "model", "-o", "out", "--force"], in: scratch)
            waitForPartialFolder(run.process)
            usleep(.random(in: 0...20_000, using: &generator))
            kill(run.process.processIdentifier, SIGINT)
            let outcome = try run.wait()
            #expect([0, 130].contains(outcome.status), "\(outcome.errors)")
            #expect(scratch.entries() == ["model", "out"])
            #expect(try Tool.run("inspect", "out", "--verify", in: scratch).status == 0)
        }
    }
}
