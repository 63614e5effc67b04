import Checkpoints
import Foundation
import LinearAlgebra
import ModelFixtures
import OrderedJSON
import Pruning
import Sparse
import Tensors
import TestSupport
import Transformer
import Testing

/// Whole models: what is written, and what an interrupted run leaves.
@Suite struct ModelPrunerTests {
    private let scratch = ScratchFolder()

    private static let names = (0..<2).flatMap { layer in
        [
            "self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj",
            "mlp.up_proj", "mlp.down_proj",
        ].map { "model.layers.\(layer).\($0).weight" }
    }

    private func pruner(
        _ method: PruningMethod, sparsity: Double, order: PruningOrder = .matrix,
        compensation: Double = ModelPruner.defaultCompensation, allocation: SparsityAllocation = .uniform,
        values: ValueGrid? = nil, recovery: RecoveryLength? = nil, threads: Int = 2,
        seed: UInt64 = 1
    ) throws -> ModelPruner {
        if scratch.entries("model").isEmpty { try TinyModel(type: .f16).write(to: scratch.path("model")) }
        let checkpoint = try Checkpoint.open(path: scratch.path("model"))
        let configuration = try ModelConfiguration(checkpoint.configuration)
        var generator = SplitMix64(seed: seed)
        let sequences = (0..<8).map { _ in
            (0..<40).map { _ in Int32.random(in: 0..<Int32(configuration.vocabularySize), using: &generator) }
        }
        let tokens = try CalibrationTokens(sequences: sequences, vocabularySize: configuration.vocabularySize)
        return try ModelPruner(
            checkpoint, configuration: configuration, method: method, target: PruningTarget(sparsity: sparsity),
            order: order, compensation: compensation, allocation: allocation, values: values, calibration: tokens,
            recovery: recovery.map { .init(length: $0, calibration: tokens) },
            arithmetic: Arithmetic(pool: WorkerPool(threadCount: threads)))
    }

    /// Any method's weights have values that packing keeps exactly, also after a recovery.
    @Test(arguments: PruningMethod.allCases, [nil, RecoveryLength.steps(2)])
    func roundsToValuesOfFewBits(method: PruningMethod, recovery: RecoveryLength?) throws {
        let grid = ValueGrid(coding: .i4, group: .columns32)
        let run = try pruner(method, sparsity: 0.5, values: grid, recovery: recovery)
        let report = try run.prune(to: destination("rounded"))
        #expect(report.sparsity >= 0.5 && (report.recovery != nil) == (recovery != nil))
        let checkpoint = try Checkpoint.open(path: scratch.path("rounded"))
        for matrix in report.matrices {
            let shape = try #require(checkpoint[matrix.name]?.shape)
            let weights = try Matrix(reading: matrix.name, rows: shape[0], columns: shape[1], from: checkpoint)
            let packed = try QuantizedMatrix(
                DenseMatrix(rows: shape[0], columns: shape[1], element: .f32, bytes: Storage(weights.array).bytes),
                coding: grid.coding, group: grid.group)
            #expect(packed.dequantized().elementsEqual(weights.array))
            #expect(matrix.zeroCount == weights.zeroCount && (matrix.error ?? 1) > 0)
        }
    }

    /// With no zeros asked for, those of a pruned model stay, whatever makes up for other matrices.
    @Test func roundingAPrunedModelKeepsItsZeros() throws {
        try TinyModel(type: .f16, sparsity: 0.5).write(to: scratch.path("model"))
        let before = try Checkpoint.open(path: scratch.path("model"))
        let run = try pruner(
            .magnitude, sparsity: 0, compensation: 1, values: ValueGrid(coding: .i8, group: .row))
        let report = try run.prune(to: destination("rounded"))
        let after = try Checkpoint.open(path: scratch.path("rounded"))
        for matrix in report.matrices {
            let shape = try #require(after[matrix.name]?.shape)
            let pair = try [before, after].map {
                try Matrix(reading: matrix.name, rows: shape[0], columns: shape[1], from: $0).array
            }
            #expect(zip(pair[0], pair[1]).allSatisfy { $0 != 0 || $1 == 0 })
            #expect(pair[1].contains { $0 != 0 })
        }
        #expect(report.sparsity > 0.45 && report.sparsity < 0.55)
    }

    private struct Stop: Error {}

    private func destination(_ name: String, stopping: Bool = false) -> ModelRewriter.Destination {
        ModelRewriter.Destination(
            path: scratch.path(name), overwriting: false, companions: { _ in if stopping { throw Stop() } })
    }

    private func elements(_ folder: String, _ name: String) throws -> [UInt8] {
        let checkpoint = try Checkpoint.open(path: scratch.path(folder))
        return Array(try checkpoint.mappedBytes(name).buffer)
    }

    @Test(arguments: PruningMethod.allCases) func prunesEveryMatrix(method: PruningMethod) throws {
        let reports = try pruner(method, sparsity: 0.6).prune(to: destination("pruned")).matrices
        #expect(Set(reports.map(\.name)) == Set(Self.names))
        for report in reports {
            let patterns = try elements("pruned", report.name).withUnsafeBytes { Array($0.bindMemory(to: UInt16.self)) }
            let zeros = patterns.count { $0 & 0x7FFF == 0 }
            #expect(zeros == report.zeroCount && patterns.count == report.elementCount)
            // Rows of 64 and 100 weights share their threshold at most.
            let share = Double(zeros) / Double(patterns.count)
            #expect(abs(share - 0.6) <= 0.5 / 64 + 1e-9, "\(report.name): \(share)")
            #expect((report.error == nil) == [.magnitude, .wanda].contains(method))
            #expect((report.error ?? 0.1) > 0 && (report.error ?? 0.1) < 1)
        }
        for (name, _) in TinyModel(type: .f16).others {
            #expect(try elements("pruned", name) == elements("model", name), "\(name)")
        }
        #expect(scratch.entries().filter { $0.contains("unfinished") }.isEmpty)
    }

    @Test func keepsAllWeightsAtSparsityZero() throws {
        // ALPS fits all weights once more, to rounding.
        for method in PruningMethod.allCases where method != .alps {
            _ = try pruner(method, sparsity: 0).prune(to: destination(method.rawValue))
            for name in Self.names { #expect(try elements(method.rawValue, name) == elements("model", name)) }
        }
    }

    /// Later matrices are fitted to what the pruned ones before them give.
    @Test func laterLayersDependOnEarlierOnes() throws {
        _ = try pruner(.sparsegpt, sparsity: 0.5).prune(to: destination("half"))
        _ = try pruner(.sparsegpt, sparsity: 0.5, seed: 2).prune(to: destination("other"))
        #expect(try elements("half", Self.names[13]) != elements("other", Self.names[13]))
        let magnitude = try pruner(.magnitude, sparsity: 0.5)
        _ = try magnitude.prune(to: destination("magnitude"))
        #expect(magnitude.calibration == nil)
    }

    /// The first matrices of a model have the same inputs in either order, all others do not.
    @Test func ordersDifferBehindTheFirstMatrices() throws {
        for order in PruningOrder.allCases {
            _ = try pruner(.sparsegpt, sparsity: 0.5, order: order).prune(to: destination(order.rawValue))
        }
        for (index, name) in Self.names.enumerated() {
            let isEqual = try elements("matrix", name) == elements("layer", name)
            #expect(isEqual == (index < 3), "\(name)")
        }
    }

    /// The first matrices have nothing to make up for; all others have.
    @Test func compensatesBehindTheFirstMatrices() throws {
        for share in [0, 1] {
            _ = try pruner(.sparsegpt, sparsity: 0.5, compensation: Double(share)).prune(to: destination("\(share)"))
        }
        for (index, name) in Self.names.enumerated() {
            let isEqual = try elements("0", name) == elements("1", name)
            #expect(isEqual == (index < 3), "\(name)")
        }
    }

    /// Pruned and trained by one command or by two: the same.
    @Test(arguments: [PruningMethod.magnitude, .sparsegpt]) func recovers(method: PruningMethod) throws {
        let both = try pruner(method, sparsity: 0.5, recovery: .steps(6))
        let report = try both.prune(to: destination("both"))
        _ = try pruner(method, sparsity: 0.5).prune(to: destination("pruned"))
        let recovery = try #require(report.recovery)
        #expect(recovery.losses.count == 6)
        let alone = try ModelRecovery(
            dense: both.checkpoint, pruned: try Checkpoint.open(path: scratch.path("pruned")),
            configuration: both.configuration, calibration: try #require(both.recoveryCalibration), length: .steps(6),
            arithmetic: both.arithmetic.with(precision: .bfloat16)
        ).recover(to: destination("alone"))
        #expect(alone == recovery)
        for name in Self.names { #expect(try elements("both", name) == elements("alone", name), "\(name)") }
        #expect(abs(report.sparsity - 0.5) < 0.01)
        #expect(!scratch.entries().contains("both.unfinished") && !scratch.entries().contains("alone.unfinished"))
    }

    /// All zeros together are as many as without it; matrices differ.
    @Test(arguments: [SparsityAllocation.owl, .damage, .fisher], [PruningMethod.magnitude, .sparsegpt])
    func allocates(allocation: SparsityAllocation, method: PruningMethod) throws {
        var sparsities: [[Double]] = []
        for threads in [1, 3] {
            let report = try pruner(method, sparsity: 0.5, allocation: allocation, threads: threads)
                .prune(to: destination("threads-\(threads)"))
            #expect(abs(report.sparsity - 0.5) <= 0.01, "\(report.sparsity)")
            sparsities.append(report.matrices.map { Double($0.zeroCount) / Double($0.elementCount) })
        }
        #expect(sparsities[0] == sparsities[1])
        // Random weights have no outliers.
        #expect(allocation == .owl || Set(sparsities[0].map { Int(($0 * 50).rounded()) }).count > 1)
        for name in Self.names { #expect(try elements("threads-1", name) == elements("threads-3", name)) }
    }

    @Test func resultsDoNotDependOnThreads() throws {
        for threads in [1, 3] {
            _ = try pruner(.sparsegpt, sparsity: 0.5, threads: threads).prune(to: destination("threads-\(threads)"))
        }
        for name in Self.names { #expect(try elements("threads-1", name) == elements("threads-3", name)) }
    }

    /// Stopped behind the last layer, or before it.
    @Test(arguments: [[], ["layer-1.safetensors"], ["layer-0.safetensors", "layer-1.safetensors"]])
    func goesOnWhereItWasStopped(lost: [String]) throws {
        let pruner = try pruner(.sparsegpt, sparsity: 0.5)
        let whole = try pruner.prune(to: destination("whole"))
        #expect(throws: Stop.self) { try pruner.prune(to: destination("out", stopping: true)) }
        #expect(scratch.entries("out.unfinished") == ["layer-0.safetensors", "layer-1.safetensors"])
        #expect(!scratch.entries().contains("out"))
        for name in lost { try FileManager.default.removeItem(atPath: scratch.path("out.unfinished/\(name)")) }
        var first: Int?
        let report = try pruner.prune(to: destination("out")) {
            if case .pruning(let done, _) = $0, done > 0 { first = first ?? done }
        }
        #expect(first == (lost.isEmpty || lost.count == 1 ? 7 : 1))
        for (left, right) in zip(report.matrices, whole.matrices) {
            #expect(left.name == right.name && left.zeroCount == right.zeroCount && left.error == right.error)
        }
        for name in Self.names { #expect(try elements("out", name) == elements("whole", name)) }
        #expect(!scratch.entries().contains("out.unfinished"))
    }

    @Test func leavesAnotherRunsLayersAlone() throws {
        let pruner = try pruner(.sparsegpt, sparsity: 0.5)
        #expect(throws: Stop.self) { try pruner.prune(to: destination("out", stopping: true)) }
        for other in [
            try self.pruner(.sparsegpt, sparsity: 0.6), try self.pruner(.wanda, sparsity: 0.5),
            try self.pruner(.sparsegpt, sparsity: 0.5, seed: 3),
            try self.pruner(.sparsegpt, sparsity: 0.5, compensation: 0.4),
            try self.pruner(.sparsegpt, sparsity: 0.5, allocation: .owl),
        ] {
            let error = #expect(throws: CheckpointError.self) { try other.prune(to: destination("out")) }
            #expect(error?.description.contains("same settings") == true)
        }
        // A method that stores no layers leaves them, too.
        _ = try self.pruner(.magnitude, sparsity: 0.5).prune(to: destination("out"))
        #expect(scratch.entries("out.unfinished") == ["layer-0.safetensors", "layer-1.safetensors"])
        try FileManager.default.removeItem(atPath: scratch.path("out"))
        // A file cut short is named.
        let path = "out.unfinished/layer-1.safetensors"
        try scratch.write(Array(try scratch.bytes(path).dropLast(100)), to: path)
        let error = #expect(throws: CheckpointError.self) { try pruner.prune(to: destination("out")) }
        #expect(error?.description.contains("layer-1") == true)
    }

    @Test func refusesTokensThatDoNotFit() throws {
        #expect(throws: PruningError.self) { try CalibrationTokens(sequences: [], vocabularySize: 10) }
        #expect(throws: PruningError.self) { try CalibrationTokens(sequences: [[1]], vocabularySize: 10) }
        #expect(throws: PruningError.self) { try CalibrationTokens(sequences: [[1, 2], [1]], vocabularySize: 10) }
        #expect(throws: PruningError.self) { try CalibrationTokens(sequences: [[1, 10]], vocabularySize: 10) }
        #expect(throws: PruningError.self) { try CalibrationTokens(sequences: [[1, -1]], vocabularySize: 10) }
        for text in [
            "{}", "[]", "{\"sequences\": [[1, \"2\"]]}", "{\"sequences\": [1]}", "{\"sequences\": [[1, 1e99]]}",
        ] {
            #expect(throws: PruningError.self) {
                try CalibrationTokens(try JSON(parsing: Array(text.utf8)), vocabularySize: 10)
            }
        }
        let tokens = try CalibrationTokens(sequences: [[1, 2], [3, 4]], vocabularySize: 10)
        #expect(try CalibrationTokens(tokens.json, vocabularySize: 10) == tokens)
        let checkpoint = try pruner(.magnitude, sparsity: 0).checkpoint
        let configuration = try ModelConfiguration(checkpoint.configuration)
        let arithmetic = Arithmetic(pool: WorkerPool(threadCount: 1))
        for calibration in [
            nil,
            try CalibrationTokens(sequences: [Array(repeating: 1, count: 257)], vocabularySize: 10),
        ] {
            #expect(throws: PruningError.self) {
                try ModelPruner(
                    checkpoint, configuration: configuration, method: .wanda, target: PruningTarget(sparsity: 0.5),
                    calibration: calibration, arithmetic: arithmetic)
            }
        }
    }
}
