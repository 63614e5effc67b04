public import Checkpoints
public import LinearAlgebra
public import Sparse
import Tensors
import Training
public import Transformer

/// Prunes a checkpoint's projections into a Hugging Face-shaped folder, layer by layer, in memory for one layer and the
/// calibration tokens' activations; OWL's and damage's allocations hold all layers in float32 first.
///
/// A layer that is done is stored beside the output, so that a run that was interrupted goes on behind it.
public struct ModelPruner {
    public let checkpoint: Checkpoint
    public let configuration: ModelConfiguration
    public let method: PruningMethod
    public let target: PruningTarget
    public let order: PruningOrder
    public let allocation: SparsityAllocation
    /// What decides on the share of zeros where they are spread unevenly; ``target`` has what it takes where all
    /// matrices are alike. nil if the target's share is what is wanted.
    public let budget: SparsityBudget?
    /// How far each matrix makes up for what the ones before it lost, 0...1; for methods that move weights, and matrix
    /// by matrix.
    public let compensation: Double
    public static let defaultCompensation = 0.5
    /// What values the weights that are left may have; nil for those of 16-bit floats.
    public let values: ValueGrid?
    /// nil only for methods that look at no inputs.
    public let calibration: CalibrationTokens?
    public let arithmetic: Arithmetic
    let recovery: Recovery?

    /// A training of what pruning left, on the dense model's distributions.
    public struct RecoveryPlan {
        public let length: RecoveryLength
        public let calibration: CalibrationTokens

        public init(length: RecoveryLength, calibration: CalibrationTokens) {
            self.length = length
            self.calibration = calibration
        }
    }

    /// - Parameter allocation: nil for what is usual for the method.
    /// - Throws: `PruningError` if the method needs tokens and there are none, or they are longer than the model's
    ///   context.
    public init(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, method: PruningMethod, target: PruningTarget,
        order: PruningOrder = .matrix, compensation: Double = Self.defaultCompensation,
        allocation: SparsityAllocation? = nil, budget: SparsityBudget? = nil, values: ValueGrid? = nil,
        calibration: CalibrationTokens? = nil, recovery: RecoveryPlan? = nil, arithmetic: Arithmetic
    ) throws(PruningError) {
        if let calibration, calibration.length > configuration.maximumContext {
            throw PruningError(
                "the calibration tokens",
                expected: "sequences of at most \(configuration.maximumContext) tokens, the model's context",
                found: "\(calibration.length)")
        }
        let allocation = allocation ?? .usual(for: method, target.structure)
        let needsTokens = Self.needsTokens(method, allocation, values)
        if needsTokens && calibration == nil {
            throw PruningError(
                "method \(method.rawValue) with allocation \(allocation.rawValue)", expected: "calibration tokens",
                found: "none")
        }
        if case .pattern = target.structure, allocation != .uniform {
            throw PruningError(
                "a pattern of zeros", expected: "allocation uniform", found: "allocation \(allocation.rawValue)")
        }
        self.checkpoint = checkpoint
        self.configuration = configuration
        self.method = method
        self.target = target
        self.order = order
        self.allocation = allocation
        self.budget = budget
        self.values = values
        self.compensation = compensation
        self.calibration = needsTokens ? calibration : nil
        self.arithmetic = arithmetic
        if let recovery {
            self.recovery = try Recovery(
                dense: checkpoint, configuration: configuration, calibration: recovery.calibration,
                length: recovery.length, values: nil, arithmetic: arithmetic.with(precision: .bfloat16))
        } else {
            self.recovery = nil
        }
    }

    /// Whether there must be calibration tokens.
    public static func needsTokens(
        _ method: PruningMethod, _ allocation: SparsityAllocation, _ values: ValueGrid?
    ) -> Bool {
        method.makePruner().needs > .nothing || allocation != .uniform || values != nil
    }

    /// What is trained on; nil if nothing is trained.
    public var recoveryCalibration: CalibrationTokens? { recovery?.calibration }

    /// How far a run is.
    public enum Progress: Sendable {
        /// Steps of finding out how zeros are to be spread.
        case allocation(done: Int, count: Int)
        /// Matrices done, those of layers that an earlier run finished included.
        case pruning(done: Int, count: Int)
        case recovery(RecoveryProgress)
        /// Matrices that have values of few bits, after a recovery.
        case rounding(done: Int, count: Int)
    }

    /// What a run did.
    public struct Report: Sendable {
        public let matrices: [MatrixReport]
        public let recovery: RecoveryReport?

        public var elementCount: Int { matrices.reduce(0) { $0 + $1.elementCount } }
        public var zeroCount: Int { matrices.reduce(0) { $0 + $1.zeroCount } }
        public var sparsity: Double { Double(zeroCount) / Double(max(elementCount, 1)) }
    }

    /// Writes the pruned model, matrices in f16 (bf16 if they were, and have values of their own; f32 in the rare case
    /// that values of few bits are not exact in f16).
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, if the model is packed or lacks a matrix, or if an
    ///   unfinished run with other settings is in the way; `PruningError`. Finished layers stay for the next run.
    public func prune(
        to destination: ModelRewriter.Destination, progress: (Progress) -> Void = { _ in }
    ) throws -> Report {
        let projections = DecoderLayout(configuration).projections
        let rewriter = try ModelRewriter(checkpoint, matrices: projections.map(\.name), pool: arithmetic.pool)
        let work = WorkFolder(for: destination.path, fingerprint: fingerprint)
        let isLayered = calibration != nil || recovery != nil
        var entries: [String: PrunedLayer.Entry] = [:]
        var reports: [MatrixReport] = []
        var recoveryReport: RecoveryReport?
        try rewriter.write(
            to: destination,
            rewrite: { name, writer in
                // Not before the output folder is known to be writable.
                if entries.isEmpty && isLayered {
                    var layers = try pruneLayers(work, progress: progress)
                    if let recovery {
                        recoveryReport = try recover(&layers, by: recovery, work: work) { progress(.recovery($0)) }
                        if let values { try round(&layers, to: values, progress: progress) }
                    }
                    for entry in layers.flatMap(\.entries) { entries[entry.report.name] = entry }
                }
                let entry = try entries[name] ?? pruneAlone(projections.first { $0.name == name }!)
                try writer.append(name, type: entry.type.elementType, shape: entry.shape, bytes: entry.bytes)
                reports.append(entry.report)
            },
            finish: { try $0.finish(configuration: checkpoint.configuration) })
        if isLayered { work.remove(layerCount: configuration.layerCount) }
        return Report(matrices: reports, recovery: recoveryReport)
    }

    /// What matrices are rounded to when they are pruned. Before a recovery they are not: it moves weights by less than
    /// lies between two values of few bits, and keeps more of the model than rounding costs it afterwards.
    var valuesAtOnce: ValueGrid? { recovery == nil ? values : nil }

    /// What makes two runs the same.
    var fingerprint: String {
        var model = CRC32C()
        Array(checkpoint.configuration.text().utf8).withUnsafeBytes { model.update($0) }
        let parts: [Any] = [
            6, checkpoint.path, model.checksum, method.rawValue, target.sparsity, target.structure, order.rawValue,
            compensation, allocation.rawValue, budget.map { "\($0.limit)" } ?? "", calibration?.checksum ?? 0,
            valuesAtOnce.map { "\($0)" } ?? "f16",
        ]
        return parts.map { "\($0)" }.joined(separator: " ")
    }
}
