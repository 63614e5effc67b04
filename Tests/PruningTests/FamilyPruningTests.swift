import Checkpoints
import LinearAlgebra
import ModelFixtures
import Tensors
import Testing
import Training
import Transformer

@testable import Pruning

/// Pruning of every family: its float32 layers are those of transformers, and what is written opens again.
@Suite struct FamilyPruningTests {
    private let arithmetic = Arithmetic(pool: WorkerPool(threadCount: 2))
    private let scratch = ScratchFolder()

    /// Logits by the layers that pruning computes with, two copies of the prompt behind each other.
    private func logits(
        _ checkpoint: Checkpoint, _ configuration: ModelConfiguration, _ ids: [Int32]
    ) throws -> Matrix {
        let family = configuration.family
        let forward = LayerForward(configuration, length: ids.count, arithmetic: arithmetic)
        let hidden = try checkpoint.embeddings(
            of: [ids, ids], configuration: configuration, arithmetic: arithmetic)
        let stream = LayerStream(forward: forward, hidden: hidden)
        for layer in 0..<configuration.layerCount {
            stream.run(try LayerWeights(checkpoint, configuration: configuration, layer: layer))
        }
        func read(_ name: String, _ rows: Int, _ columns: Int) throws -> Matrix {
            try Matrix(reading: name, rows: rows, columns: columns, from: checkpoint)
        }
        let (width, size) = (configuration.hiddenSize, configuration.embeddingSize)
        if configuration.hasFinalNorm {
            let norm = try LayerWeights.Norm(
                reading: family.finalNorm, from: checkpoint, configuration: configuration)
            forward.normalize(hidden.slice, by: norm, into: hidden.slice)
        }
        var output = hidden
        if configuration.projectsEmbeddings, let name = family.headProjection {
            output = Matrix(uninitializedRows: hidden.rows, columns: size)
            forward.multiply(hidden.slice, by: try read(name, size, width), bias: nil, into: output.slice)
        }
        let head = configuration.tiesHead ? family.embedding : family.head
        let logits = Matrix(uninitializedRows: hidden.rows, columns: configuration.vocabularySize)
        forward.multiply(
            output.slice, by: try read(head, configuration.vocabularySize, size), bias: nil, into: logits.slice)
        if let cap = configuration.logitCap {
            arithmetic.kernels.table.soft_cap(logits.elements.baseAddress, Int64(logits.elements.count), cap)
        }
        return logits
    }

    private func relativeError(of checkpoint: Checkpoint, _ prompt: FamilyFixture.Prompt) throws -> Double {
        let found = try logits(checkpoint, ModelConfiguration(checkpoint.configuration), prompt.ids)
        let largest = prompt.logits.joined().map(abs).max() ?? 0
        var error = 0.0
        for (row, expected) in prompt.logits.enumerated() {
            for (column, logit) in expected.enumerated() {
                for copy in [0, prompt.ids.count] {
                    let difference = abs(Double(found[copy + prompt.first + row, column]) - logit)
                    if !(difference <= error) { error = difference }
                }
            }
        }
        return error / largest
    }

    @Test(arguments: FamilyFixture.all) func layersMatchTransformers(fixture: FamilyFixture) throws {
        for prompt in try fixture.prompts {
            let error = try relativeError(of: fixture.checkpoint, prompt)
            #expect(error <= 1e-3, "\(prompt.ids.count) tokens")
        }
    }

    private func pruner(
        _ fixture: FamilyFixture, _ method: PruningMethod, sparsity: Double,
        allocation: SparsityAllocation = .uniform, recoverySteps: Int? = nil
    ) throws -> ModelPruner {
        let checkpoint = try fixture.checkpoint
        let configuration = try ModelConfiguration(checkpoint.configuration)
        let prompt = try fixture.prompts[1].ids
        let sequences = (0..<8).map { first in prompt.indices.map { prompt[($0 * (first + 1) + first) % prompt.count] }
        }
        let tokens = try CalibrationTokens(sequences: sequences, vocabularySize: configuration.vocabularySize)
        return try ModelPruner(
            checkpoint, configuration: configuration, method: method, target: PruningTarget(sparsity: sparsity),
            allocation: allocation, calibration: tokens,
            recovery: recoverySteps.map { .init(length: .steps($0), calibration: tokens) }, arithmetic: arithmetic)
    }

    /// Each method leaves as many zeros as were asked for, in a folder of the same tensors.
    @Test(arguments: FamilyFixture.all, PruningMethod.allCases)
    func prunesEveryFamily(fixture: FamilyFixture, method: PruningMethod) throws {
        let report = try pruner(fixture, method, sparsity: 0.5).prune(
            to: ModelRewriter.Destination(path: scratch.path("pruned"), overwriting: false, companions: { _ in }))
        let (before, after) = (try fixture.checkpoint, try Checkpoint.open(path: scratch.path("pruned")))
        let configuration = try ModelConfiguration(after.configuration)
        let layout = DecoderLayout(configuration)
        try layout.check(after, packed: nil)
        #expect(Set(report.matrices.map(\.name)) == Set(layout.projections.map(\.name)))
        #expect(Set(after.tensors.map(\.name)) == Set(before.tensors.map(\.name)))
        for projection in layout.projections {
            let pruned = try Matrix(
                reading: projection.name, rows: projection.rows, columns: projection.columns, from: after)
            let share = Double(pruned.zeroCount) / Double(projection.elementCount)
            #expect(abs(share - 0.5) <= 0.02, "\(projection.name)")
        }
        for tensor in layout.others {
            let (rows, columns) = (tensor.shape.count == 2 ? tensor.shape[0] : 1, tensor.shape.last!)
            let (old, new) = (
                try Matrix(reading: tensor.name, rows: rows, columns: columns, from: before),
                try Matrix(reading: tensor.name, rows: rows, columns: columns, from: after)
            )
            #expect(old.array == new.array, "\(tensor.name)")
        }
    }

    /// Asked for no zeros, weights that move to make up for losses have none to make up for.
    @Test(arguments: FamilyFixture.all) func keepsAModelThatLosesNothing(fixture: FamilyFixture) throws {
        _ = try pruner(fixture, .sparsegpt, sparsity: 0).prune(
            to: ModelRewriter.Destination(path: scratch.path("same"), overwriting: false, companions: { _ in }))
        let prompt = try fixture.prompts[1]
        let error = try relativeError(of: Checkpoint.open(path: scratch.path("same")), prompt)
        #expect(error <= 5e-3)
    }

    /// Zeros where they do least damage, then a training that comes nearer to the dense model and keeps them.
    @Test(arguments: FamilyFixture.all, [SparsityAllocation.damage, .fisher])
    func spreadsZerosAndRecovers(fixture: FamilyFixture, allocation: SparsityAllocation) throws {
        let report = try pruner(fixture, .wanda, sparsity: 0.6, allocation: allocation, recoverySteps: 24).prune(
            to: ModelRewriter.Destination(path: scratch.path("recovered"), overwriting: false, companions: { _ in }))
        #expect(abs(report.sparsity - 0.6) <= 0.02)
        let shares = report.matrices.map { Double($0.zeroCount) / Double($0.elementCount) }
        #expect(shares.max()! > shares.min()! + 0.01)
        let recovery = try #require(report.recovery)
        #expect(recovery.after < recovery.before, "\(recovery.before) -> \(recovery.after)")
    }
}
