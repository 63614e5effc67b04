public import Checkpoints
public import LinearAlgebra
public import Sparse
import Tensors
import Training
public import Transformer

/// Prunes a checkpoint's projections into a Hugging Face-shaped folder, layer by layer, in memory for one layer and the
/// calibration tokens' activations; allocations other than the uniform one hold all layers in float32 first.
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
    private let recovery: Recovery?

    /// A training of what pruning left, on the dense model's distributions.
    public struct RecoveryPlan {
        public let length: RecoveryLength
        public let calibration: CalibrationTokens

        public init(length: RecoveryLength, calibration: CalibrationTokens) {
            self.length = length
            self.calibration = calibration
        }
    }

    /// - Throws: `PruningError` if the method needs tokens and there are none, or they are longer than the model's
    ///   context.
    public init(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, method: PruningMethod, target: PruningTarget,
        order: PruningOrder = .matrix, compensation: Double = Self.defaultCompensation,
        allocation: SparsityAllocation = .uniform, budget: SparsityBudget? = nil, values: ValueGrid? = nil,
        calibration: CalibrationTokens? = nil, recovery: RecoveryPlan? = nil, arithmetic: Arithmetic
    ) throws(PruningError) {
        if let calibration, calibration.length > configuration.maximumContext {
            throw PruningError(
                "the calibration tokens",
                expected: "sequences of at most \(configuration.maximumContext) tokens, the model's context",
                found: "\(calibration.length)")
        }
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
        if allocation == .damage, let departure = configuration.departureFromLlama {
            throw PruningError(
                "allocation damage for a model of type \(configuration.family.name)", expected: "llama's decoder",
                found: departure)
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
        /// Blocks of matrices whose damage is known.
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

    /// Trains pruned layers; they become what is stored of that.
    private func recover(
        _ layers: inout [PrunedLayer], by recovery: Recovery, work: WorkFolder,
        progress: (RecoveryProgress) throws -> Void
    ) throws -> RecoveryReport {
        let weights = try layers.enumerated().map { index, layer in
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            for (entry, matrix) in zip(layer.entries, weights.projections) { try entry.restore(matrix) }
            return weights
        }
        let trainingWork = WorkFolder(for: work.output, fingerprint: "\(fingerprint) \(recovery.fingerprint)")
        let report = try recovery.run(weights, work: trainingWork, progress: progress)
        for (index, layer) in layers.enumerated() {
            layers[index].entries = try zip(layer.entries, weights[index].projections).map { entry, matrix in
                try entry.replaced(by: matrix, in: checkpoint, values: nil)
            }
        }
        return report
    }

    /// What matrices are rounded to when they are pruned. Before a recovery they are not: it moves weights by less than
    /// lies between two values of few bits, and keeps more of the model than rounding costs it afterwards.
    private var valuesAtOnce: ValueGrid? { recovery == nil ? values : nil }

    /// Rounds layers that a recovery has trained, one after the other, with what the rounded ones before them give.
    /// Takes minutes, and begins anew after an interruption.
    private func round(
        _ layers: inout [PrunedLayer], to values: ValueGrid, progress: (Progress) -> Void
    ) throws {
        guard let calibration else { preconditionFailure("values of few bits need tokens") }
        let layerPruner = try LayerPruner(
            checkpoint, configuration: configuration, tokens: calibration, needs: .products, compensation: compensation,
            arithmetic: arithmetic)
        let count = layers.reduce(0) { $0 + $1.entries.count }
        var done = 0
        for index in layers.indices {
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            for (entry, matrix) in zip(layers[index].entries, weights.projections) { try entry.restore(matrix) }
            try layerPruner.run(weights) { places, inputs in
                for place in places {
                    let matrix = weights.projections[place]
                    // Making up for the matrices before moves zeros, too.
                    let kept = matrix.elements.map { $0 != 0 }
                    try inputs.compensate(matrix)
                    try ValueRounding(values).round(matrix, keeping: kept, inputs: inputs, arithmetic: arithmetic)
                    let entry = try layers[index].entries[place].replaced(by: matrix, in: checkpoint, values: values)
                    try entry.restore(matrix)
                    layers[index].entries[place] = entry
                    done += 1
                    progress(.rounding(done: done, count: count))
                }
            }
        }
    }

    /// Prunes a matrix without looking at inputs.
    private func pruneAlone(_ projection: DecoderLayout.Projection) throws -> PrunedLayer.Entry {
        let weights = try Matrix(
            reading: projection.name, rows: projection.rows, columns: projection.columns, from: checkpoint)
        return try prune(weights, name: projection.name, by: method.makePruner(), inputs: nil, target: target)
    }

    /// What makes two runs the same.
    private var fingerprint: String {
        var model = CRC32C()
        Array(checkpoint.configuration.text().utf8).withUnsafeBytes { model.update($0) }
        let parts: [Any] = [
            5, checkpoint.path, model.checksum, method.rawValue, target.sparsity, target.structure, order.rawValue,
            compensation, allocation.rawValue, budget.map { "\($0.limit)" } ?? "", calibration?.checksum ?? 0,
            valuesAtOnce.map { "\($0)" } ?? "f16",
        ]
        return parts.map { "\($0)" }.joined(separator: " ")
    }

    private func pruneLayers(_ work: WorkFolder, progress: (Progress) -> Void) throws -> [PrunedLayer] {
        guard let calibration else { return try pruneLayersAlone(progress: progress) }
        let pruner = method.makePruner()
        let plan = try allocation.plan(
            checkpoint, configuration: configuration, tokens: calibration, sparsity: target.sparsity,
            budget: budget, arithmetic: arithmetic
        ) { progress(.allocation(done: $0, count: $1)) }
        let layerPruner = try LayerPruner(
            checkpoint, configuration: configuration, tokens: calibration,
            needs: valuesAtOnce == nil ? pruner.needs : .products,
            compensation: order == .matrix ? compensation : 0, arithmetic: arithmetic)
        let count = configuration.layerCount * configuration.family.projections(layer: 0).count
        var layers: [PrunedLayer] = []
        var done = 0
        for index in 0..<configuration.layerCount {
            let names = configuration.family.projections(layer: index)
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            progress(.pruning(done: done, count: count))
            if let finished = try work.layer(index, names: names) {
                for (entry, matrix) in zip(finished.entries, weights.projections) { try entry.restore(matrix) }
                try layerPruner.run(weights) {
                    try LayerWeights(checkpoint, configuration: configuration, layer: index)
                }
                layers.append(finished)
                done += names.count
                continue
            }
            var layer = PrunedLayer()
            func stage(_ matrices: [Int], _ inputs: InputStatistics) throws {
                for place in matrices {
                    layer.entries.append(
                        try prune(
                            weights.projections[place], name: names[place], by: pruner, inputs: inputs,
                            target: PruningTarget(
                                sparsity: plan.sparsities[index][place], structure: target.structure)))
                    done += 1
                    progress(.pruning(done: done, count: count))
                }
            }
            switch order {
            case .matrix: try layerPruner.run(weights, stage: stage)
            case .layer: try layerPruner.runAtOnce(weights, stage: stage)
            }
            try work.store(layer, index)
            // From its file, so that memory stays that of one layer.
            layers.append(try work.layer(index, names: names) ?? layer)
            for name in names { checkpoint.release(name) }
        }
        return layers
    }

    /// The same for a method that looks at no inputs.
    private func pruneLayersAlone(progress: (Progress) -> Void) throws -> [PrunedLayer] {
        let projections = DecoderLayout(configuration).projections
        var layers = Array(repeating: PrunedLayer(), count: configuration.layerCount)
        for (index, projection) in projections.enumerated() {
            layers[projection.layer].entries.append(try pruneAlone(projection))
            progress(.pruning(done: index + 1, count: projections.count))
        }
        return layers
    }

    /// Prunes one matrix and rounds it to what is stored, so that what follows is fitted to that.
    private func prune(
        _ weights: Matrix, name: String, by pruner: any Pruner, inputs: InputStatistics?, target: PruningTarget
    ) throws -> PrunedLayer.Entry {
        let start = ContinuousClock.now
        // Asked for no zeros, a pruned model keeps its own.
        let kept = valuesAtOnce != nil && target.sparsity == 0 ? weights.elements.map { $0 != 0 } : nil
        try inputs?.compensate(weights)
        let before = inputs?.products == nil ? nil : weights.copy()
        try pruner.prune(weights, inputs: inputs, target: target, arithmetic: arithmetic)
        if let valuesAtOnce, let inputs {
            try ValueRounding(valuesAtOnce).round(weights, keeping: kept, inputs: inputs, arithmetic: arithmetic)
        }
        let type = weights.storedType(of: name, in: checkpoint, values: valuesAtOnce)
        let bytes = try weights.narrowed(to: type, name: name, path: checkpoint.path)
        let entry = PrunedLayer.Entry(
            report: MatrixReport(
                name: name, elementCount: weights.rows * weights.columns, zeroCount: bytes.zeroCount(type),
                error: before.flatMap { inputs?.relativeError(of: weights, from: $0) },
                seconds: (ContinuousClock.now - start) / .seconds(1)),
            type: type, shape: [weights.rows, weights.columns], bytes: bytes)
        try entry.restore(weights)
        return entry
    }
}

extension PrunedLayer.Entry {
    /// Puts the stored elements into a matrix of their shape.
    func restore(_ matrix: Matrix) throws(CheckpointError) {
        guard shape == [matrix.rows, matrix.columns], type.widen(bytes, into: matrix.elements) else {
            throw CheckpointError(
                .damaged, path: report.name, subject: "the unfinished run",
                expected: "finite weights of the model's shape", found: "shape \(shape)")
        }
    }

    /// A trained matrix in this one's place.
    func replaced(
        by matrix: Matrix, in checkpoint: Checkpoint, values: ValueGrid?
    ) throws(CheckpointError) -> PrunedLayer.Entry {
        let type = matrix.storedType(of: report.name, in: checkpoint, values: values)
        let bytes = try matrix.narrowed(to: type, name: report.name, path: checkpoint.path)
        return PrunedLayer.Entry(
            report: MatrixReport(
                name: report.name, elementCount: report.elementCount, zeroCount: bytes.zeroCount(type),
                error: report.error,
                seconds: report.seconds), type: type, shape: shape, bytes: bytes)
    }
}

extension Storage<UInt8> {
    /// Zeros among elements of a type.
    fileprivate func zeroCount(_ type: WeightType) -> Int {
        type == .f32
            ? reinterpreted(as: UInt32.self)!.count { $0 & 0x7FFF_FFFF == 0 }
            : reinterpreted(as: UInt16.self)!.count { $0 & 0x7FFF == 0 }
    }
}
