import Checkpoints
import LinearAlgebra
import ModelFixtures
import Pruning
import Tensors
import TestSupport
import Transformer
import Testing

/// A pruned model, trained on the dense one and written again.
@Suite struct ModelRecoveryTests {
    private let scratch = ScratchFolder()

    private func recovery(
        steps: Int, threads: Int = 2, sequences: Int = 10, pruned: TinyModel = TinyModel(type: .f16, sparsity: 0.5)
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
                sequences: tokens, vocabularySize: configuration.vocabularySize), steps: steps,
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
        let report = try recovery(steps: 12).recover(to: destination("out"))
        #expect(report.after < report.before && report.losses.count == 12 && report.tokenCount == 12 * 48)
        let model = TinyModel(type: .f16)
        for (name, _) in model.projections {
            let (before, after) = (try patterns("pruned", name), try patterns("out", name))
            #expect(before != after)
            #expect(before.map { $0 & 0x7FFF == 0 } == after.map { $0 & 0x7FFF == 0 })
        }
        for (name, _) in model.others { #expect(try patterns("out", name) == patterns("pruned", name)) }
    }

    /// Bit by bit.
    @Test func resultsDoNotDependOnThreads() throws {
        for threads in [1, 3] {
            _ = try recovery(steps: 3, threads: threads).recover(to: destination("threads-\(threads)"))
        }
        for (name, _) in TinyModel(type: .f16).projections {
            #expect(try patterns("threads-1", name) == patterns("threads-3", name))
        }
    }

    @Test func refusesModelsThatDoNotFit() throws {
        #expect(throws: PruningError.self) { try recovery(steps: 1, sequences: 5) }
        var wider = TinyModel(type: .f16)
        wider.intermediateSize = 132
        try wider.write(to: scratch.path("wider"))
        let fitting = try recovery(steps: 1)
        let error = #expect(throws: PruningError.self) {
            try ModelRecovery(
                dense: fitting.dense, pruned: try Checkpoint.open(path: scratch.path("wider")),
                configuration: fitting.configuration, calibration: fitting.calibration, steps: 1,
                arithmetic: fitting.arithmetic)
        }
        #expect(error?.description.contains("gate_proj") == true)
    }
}
