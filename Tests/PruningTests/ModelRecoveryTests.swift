import Checkpoints
import LinearAlgebra
import ModelFixtures
@testable import Pruning
import Tensors
import TestSupport
import Transformer
import Testing

/// A pruned model, trained on the dense one and written again.
@Suite struct ModelRecoveryTests {
    private let scratch = ScratchFolder()

    private func recovery(
        _ length: RecoveryLength, rate: Float = ModelRecovery.usualRate, threads: Int = 2, sequences: Int = 10,
        pruned: TinyModel = TinyModel(type: .f16, sparsity: 0.5)
    ) throws -> ModelRecovery {
        if !scratch.entries().contains("dense") {
            try TinyModel(type: .f16).write(to: scratch.path("dense"))
            try pruned.write(to: scratch.path("pruned"))
        }
        let dense = try Checkpoint.open(path: scratch.path("dense"))
        let configuration = try ModelConfiguration(dense.configuration)
        var generator = SplitMix64(seed: 1)
        let tokens = (0..<sequences).map { _ in
            (0..<24).map { _ in Int32.random(in: 0..<Int32(configuration.vocabularySize), using: &generator) }
        }
        return try ModelRecovery(
            dense: dense, pruned: try Checkpoint.open(path: scratch.path("pruned")), configuration: configuration,
            calibration: try CalibrationTokens(
                sequences: tokens, vocabularySize: configuration.vocabularySize), length: length, rate: rate,
            arithmetic: Arithmetic(pool: WorkerPool(threadCount: threads)))
    }

    private func destination(_ name: String) -> ModelRewriter.Destination {
        ModelRewriter.Destination(path: scratch.path(name), overwriting: false, companions: { _ in })
    }

    private func patterns(_ folder: String, _ name: String) throws -> [UInt16] {
        let bytes = try Checkpoint.open(path: scratch.path(folder)).mappedBytes(name)
        return withExtendedLifetime(bytes) { Array($0.reinterpreted(as: UInt16.self)!.buffer) }
    }

    @Test func comesNearerToTheDenseModelAndKeepsZeros() throws {
        let report = try recovery(.steps(12)).recover(to: destination("out"))
        #expect(report.after < report.before && report.losses.count == 12 && report.tokenCount == 12 * 72)
        let model = TinyModel(type: .f16)
        for (name, _) in model.projections {
            let (before, after) = (try patterns("pruned", name), try patterns("out", name))
            #expect(before != after)
            #expect(before.map { $0 & 0x7FFF == 0 } == after.map { $0 & 0x7FFF == 0 })
        }
        for (name, _) in model.others { #expect(try patterns("out", name) == patterns("pruned", name)) }
    }

    @Test func learnsAtItsRate() throws {
        let slow = try recovery(.steps(2), rate: 1e-5).recover(to: destination("slow"))
        let usual = try recovery(.steps(2)).recover(to: destination("usual"))
        let named = try recovery(.steps(2), rate: ModelRecovery.usualRate).recover(to: destination("named"))
        #expect(usual == named && slow.losses[0] == usual.losses[0] && slow.losses[1] != usual.losses[1])
    }

    /// Bit by bit.
    @Test func resultsDoNotDependOnThreads() throws {
        for threads in [1, 3] {
            _ = try recovery(.steps(3), threads: threads).recover(to: destination("threads-\(threads)"))
        }
        for (name, _) in TinyModel(type: .f16).projections {
            #expect(try patterns("threads-1", name) == patterns("threads-3", name))
        }
    }

    @Test func refusesModelsThatDoNotFit() throws {
        #expect(throws: PruningError.self) { try recovery(.steps(1), sequences: 2) }
        var wider = TinyModel(type: .f16)
        wider.intermediateSize = 132
        try wider.write(to: scratch.path("wider"))
        let fitting = try recovery(.steps(1))
        let dense = try Checkpoint.open(path: scratch.path("dense"))
        let tokens = try CalibrationTokens(
            sequences: (0..<6).map { _ in [1, 2, 3] }, vocabularySize: fitting.configuration.vocabularySize)
        let error = #expect(throws: PruningError.self) {
            try ModelRecovery(
                dense: dense, pruned: try Checkpoint.open(path: scratch.path("wider")),
                configuration: fitting.configuration, calibration: tokens, length: .steps(1),
                arithmetic: Arithmetic(pool: WorkerPool(threadCount: 1)))
        }
        #expect(error?.description.contains("gate_proj") == true)
    }

    private struct Stop: Error {}

    /// Stopped behind the last step, it goes on behind the last state that was written, and comes to the same.
    @Test func goesOnWhereItWasStopped() throws {
        let whole = try recovery(.steps(30)).recover(to: destination("whole"))
        let stopping = ModelRewriter.Destination(
            path: scratch.path("out"), overwriting: false, companions: { _ in throw Stop() })
        #expect(throws: Stop.self) { try recovery(.steps(30)).recover(to: stopping) }
        #expect(scratch.entries("out.unfinished").contains("last-step.safetensors"))
        let error = #expect(throws: CheckpointError.self) { try recovery(.steps(31)).recover(to: destination("out")) }
        #expect(error?.description.contains("same settings") == true)
        #expect(throws: CheckpointError.self) { try recovery(.steps(30), rate: 1e-4).recover(to: destination("out")) }
        var steps: [Int] = []
        let rest = try recovery(.steps(30)).recover(to: destination("out")) { steps.append($0.step) }
        // The last state is the one behind the last step.
        #expect(steps == [30])
        #expect(rest == whole)
        for (name, _) in TinyModel(type: .f16).projections {
            #expect(try patterns("out", name) == patterns("whole", name))
        }
        #expect(!scratch.entries().contains("out.unfinished"))
    }

    @Test func goesOnFromTheMiddle() throws {
        let whole = try recovery(.steps(30)).recover(to: destination("whole"))
        #expect(throws: Stop.self) {
            try recovery(.steps(30)).recover(to: destination("out")) { if $0.step == 26 { throw Stop() } }
        }
        let state = try scratch.bytes("out.unfinished/last-step.safetensors")
        // One cut short is named.
        try scratch.write(Array(state.dropLast(64)), to: "out.unfinished/last-step.safetensors")
        let error = #expect(throws: CheckpointError.self) { try recovery(.steps(30)).recover(to: destination("out")) }
        #expect(error?.description.contains("last-step") == true)
        try scratch.write(state, to: "out.unfinished/last-step.safetensors")
        var steps: [Int] = []
        let rest = try recovery(.steps(30)).recover(to: destination("out")) { steps.append($0.step) }
        // Looks are 12 steps apart.
        #expect(steps == Array(24...30))
        #expect(rest == whole)
        for (name, _) in TinyModel(type: .f16).projections {
            #expect(try patterns("out", name) == patterns("whole", name))
        }
    }

    /// A model that has lost next to nothing gets worse by steps as large as others need; then it stays what it is.
    @Test func leavesWhatItCannotMakeBetter() throws {
        let model = TinyModel(type: .f16, sparsity: 1e-4)
        let report = try recovery(.steps(3), pruned: model).recover(to: destination("out"))
        #expect(report.before == report.after)
        #expect(report.losses[2] > 2 * report.losses[0], "\(report)")
        for (name, _) in TinyModel(type: .f16).projections {
            #expect(try patterns("out", name) == patterns("pruned", name))
        }
    }

    /// Two looks in a row that are clearly worse than the best end it; the best is what is kept.
    @Test func stopsEarly() {
        var course = RecoveryCourse(.steps(1000), before: 1)
        #expect(course.isBest && course.best == 1)
        func look(_ loss: Double) {
            course.losses = Array(repeating: 1, count: course.losses.count + 100)
            course.looks.append(RecoveryCourse.Look(step: course.losses.count, loss: loss))
        }
        look(0.8)
        #expect(course.isTimeToLook && course.isBest && !course.isOver)
        look(0.9)
        #expect(!course.isBest && !course.isOver)
        look(0.85)
        #expect(!course.isOver)
        #expect(RecoveryCourse(course.json.text()) == course)
        look(0.9)
        #expect(!course.isOver)
        look(0.95)
        #expect(course.isOver && course.best == 0.8)
        look(0.7)
        #expect(course.isBest && !course.isOver)
        course.losses.append(1)
        #expect(!course.isBest && !course.isTimeToLook)
        #expect(RecoveryCourse("{}") == nil && RecoveryCourse("") == nil)
    }

    @Test func minutesBecomeSteps() throws {
        let report = try recovery(.minutes(0.02)).recover(to: destination("out"))
        #expect(report.losses.count >= 4 && report.after < report.before)
    }

    @Test func lengthsAreParsed() {
        #expect(RecoveryLength("200") == .steps(200) && RecoveryLength("1.5m") == .minutes(1.5))
        for text in ["", "0", "-1", "m", "0m", "-2m", "nanm", "infm", "5 m", "5h", "1e9m", "1000001"] {
            #expect(RecoveryLength(text) == nil, "\(text)")
        }
    }
}
