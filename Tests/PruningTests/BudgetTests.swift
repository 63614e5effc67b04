import Checkpoints
import Foundation
import LinearAlgebra
import ModelFixtures
import Sparse
import Tensors
import TestSupport
import Testing
import Transformer

@testable import Pruning

/// Sparsities that follow from what a packed model may take.
@Suite struct BudgetTests {
    private let scratch = ScratchFolder()
    private let pool = WorkerPool(threadCount: 2)

    /// Large enough that padding to whole panels is little.
    private func model() throws -> (checkpoint: Checkpoint, configuration: ModelConfiguration) {
        var model = TinyModel(type: .f16)
        model.hiddenSize = 256
        model.intermediateSize = 512
        model.headSize = 64
        try model.write(to: scratch.path("model"))
        let checkpoint = try Checkpoint.open(path: scratch.path("model"))
        return (checkpoint, try ModelConfiguration(checkpoint.configuration))
    }

    private func estimate(
        _ configuration: ModelConfiguration, _ choice: FormatChoice = .smallest, _ values: ValueChoice = .exact
    ) throws -> PackedEstimate {
        try PackedEstimate(configuration, choice: choice, values: values, tableValues: .exact, pool: pool)
    }

    private func destination(_ name: String) -> ModelRewriter.Destination {
        ModelRewriter.Destination(path: scratch.path(name), overwriting: true, companions: { _ in })
    }

    /// Bytes of all weights, packed.
    private func packedByteCount(_ folder: String, _ values: ValueChoice) throws -> Int {
        let checkpoint = try Checkpoint.open(path: scratch.path(folder))
        let layout = DecoderLayout(try ModelConfiguration(checkpoint.configuration))
        let reports = try ModelPacker(checkpoint, matrices: layout.projections.map(\.name), pool: pool)
            .pack(to: destination("packed"), choice: .smallest, values: values)
        return reports.reduce(0) { $0 + $1.packedByteCount }
            + layout.others.reduce(0) { $0 + 2 * $1.shape.reduce(1, *) }
    }

    private func prune(
        _ model: (checkpoint: Checkpoint, configuration: ModelConfiguration), _ budget: SparsityBudget,
        allocation: SparsityAllocation = .uniform
    ) throws -> ModelPruner.Report {
        var generator = SplitMix64(seed: 3)
        let sequences = (0..<6).map { _ in
            (0..<40).map { _ in
                Int32.random(in: 0..<Int32(model.configuration.vocabularySize), using: &generator)
            }
        }
        let sparsity = try budget.uniformSparsity()
        return try ModelPruner(
            model.checkpoint, configuration: model.configuration,
            method: allocation == .uniform ? .magnitude : .wanda, target: PruningTarget(sparsity: sparsity),
            allocation: allocation, budget: budget,
            calibration: try CalibrationTokens(
                sequences: sequences, vocabularySize: model.configuration.vocabularySize),
            arithmetic: Arithmetic(pool: pool)
        ).prune(to: destination("pruned"))
    }

    /// What packing makes of the pruned model is what was asked for.
    @Test(
        arguments: [ValueChoice.exact, .quantized(.i8, .columns128)],
        [SparsityAllocation.uniform, .owl, .damage])
    func packsToTheBytesThatAreAskedFor(values: ValueChoice, allocation: SparsityAllocation) throws {
        let model = try model()
        let dense = try estimate(model.configuration, .smallest, values)
            .size(of: .uniform(0, layers: 2, matrices: 7)).byteCount
        let limit = Int(dense * 0.6)
        let budget = SparsityBudget(.bytes(limit), estimate: try estimate(model.configuration, .smallest, values))
        let report = try prune(model, budget, allocation: allocation)
        #expect(report.sparsity > 0.3 && report.sparsity < 0.9, "\(report.sparsity)")
        let bytes = try packedByteCount("pruned", values)
        #expect(Double(bytes) <= Double(limit) * 1.02 && Double(bytes) >= Double(limit) * 0.97, "\(bytes) of \(limit)")
    }

    /// One thousandth less does not fit.
    @Test(arguments: [0.95, 0.7, 0.4]) func takesNoMoreThanItNeeds(share: Double) throws {
        let configuration = try model().configuration
        let estimate = try estimate(configuration)
        func bytes(_ sparsity: Double) throws -> Double {
            try estimate.size(of: .uniform(sparsity, layers: 2, matrices: 7)).byteCount
        }
        let limit = try bytes(0) * share
        let sparsity = try SparsityBudget(.bytes(Int(limit)), estimate: estimate).uniformSparsity()
        #expect(try bytes(sparsity) <= limit)
        #expect(try bytes(sparsity - 0.001) > limit.rounded(.down))
    }

    @Test func refusesWhatFitsAlreadyAndWhatNeverFits() throws {
        let configuration = try model().configuration
        let estimate = try estimate(configuration)
        #expect {
            _ = try SparsityBudget(.bytes(1 << 40), estimate: estimate).uniformSparsity()
        } throws: { "\($0)".contains("takes without pruning") }
        #expect {
            _ = try SparsityBudget(.bytes(1000), estimate: estimate).uniformSparsity()
        } throws: { "\($0)".contains("with 98 % zeros") }
    }

    /// With a machine that waits for memory alone, time is bytes over bandwidth, and what else a step takes is fixed.
    @Test func budgetsOfTimeAreThoseOfBytes() throws {
        let configuration = try model().configuration
        let bandwidth = 1e9
        let machine = try MachineProfile.Machine(processor: "abacus", instructionSet: "beads", threads: 1)
        let kernels = try ProductKind.all.map { kind in
            try KernelSpeed(kind: kind, densities: [1], tokens: [1], weightsPerSecond: [[1e14]])
        }
        let profile = try MachineProfile(machine: machine, bytesPerSecond: bandwidth, kernels: kernels)
        let timed = try estimate(configuration, .fastest(CostModel(profile: profile)))
        let overhead = 1e-3
        // Norms are left out of the time, and embedding rows are looked up: the tied head is read whole.
        let size = try timed.size(of: .uniform(0.5, layers: 2, matrices: 7))
        let norms = 2.0 * Double(5 * configuration.hiddenSize)
        #expect(abs(size.seconds - (size.byteCount - norms) / bandwidth) <= 0.01 * size.seconds)
        let budget = SparsityBudget(.seconds(size.seconds + overhead), estimate: timed, overheadSeconds: overhead)
        #expect(abs(try budget.uniformSparsity() - 0.5) <= 0.002)
        #expect(throws: PruningError.self) {
            _ = try SparsityBudget(.seconds(overhead), estimate: timed, overheadSeconds: overhead)
                .uniformSparsity()
        }
    }
}

/// The search for a perplexity: few attempts, near to the bound, whatever the curve.
@Suite struct PerplexitySearchTests {
    /// - Returns: the best sparsity and the number of attempts.
    private func found(limit: Double, _ perplexity: (Double) -> Double) -> (best: Double?, attempts: Int) {
        var search = PerplexitySearch(dense: 20, limit: limit)
        var tried: [Double] = []
        while let sparsity = search.next {
            #expect(sparsity > 0 && sparsity <= PerplexitySearch.most && !tried.contains(sparsity), "\(tried)")
            tried.append(sparsity)
            search.add(sparsity: sparsity, perplexity: perplexity(sparsity))
        }
        if let best = search.best { #expect(tried.contains(best) && perplexity(best) <= limit) }
        return (search.best, tried.count)
    }

    @Test(arguments: [0.02, 0.1, 0.4, 2], [2.0, 6, 9])
    func findsTheBoundInAFewAttempts(scale: Double, slope: Double) throws {
        // 0.5 nats more than dense is where the curve has `scale * exp(slope * s) = 0.5`, or the most there can be.
        func curve(_ sparsity: Double) -> Double { 20 * exp(scale * exp(slope * (sparsity - 0.5))) }
        let exact = 0.5 + log(0.5 / scale) / slope
        let (best, attempts) = found(limit: 20 * exp(0.5), curve)
        #expect(attempts <= PerplexitySearch.attemptLimit)
        if exact <= 0 {
            #expect(best == nil)
        } else {
            #expect(abs(try #require(best) - min(exact, PerplexitySearch.most)) <= 0.03, "\(exact)")
        }
    }

    @Test func endsWhereNothingFitsOrEverythingDoes() {
        #expect(found(limit: 21) { _ in 1e30 }.best == nil)
        #expect(found(limit: 21) { _ in .nan }.best == nil)
        #expect(found(limit: 21) { _ in .infinity }.best == nil)
        #expect(found(limit: 21) { _ in 20 }.best == PerplexitySearch.most)
        // A cliff.
        let cliff = found(limit: 21) { $0 < 0.63 ? 20 : 1e9 }
        #expect(cliff.best.map { $0 > 0.5 && $0 < 0.63 } == true)
    }
}
