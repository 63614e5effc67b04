public import Checkpoints
public import LinearAlgebra
import Tensors
import Training
public import Transformer

/// Prunes a checkpoint's projections into a Hugging Face-shaped folder, layer by layer, in memory for one layer and the
/// calibration tokens' activations.
///
/// A layer that is done is stored beside the output, so that a run that was interrupted goes on behind it.
public struct ModelPruner {
    public let checkpoint: Checkpoint
    public let configuration: ModelConfiguration
    public let method: PruningMethod
    public let target: PruningTarget
    public let order: PruningOrder
    /// nil only for methods that look at no inputs.
    public let calibration: CalibrationTokens?
    public let arithmetic: Arithmetic

    /// - Throws: `PruningError` if the method needs tokens and there are none, or they are longer than the model's
    ///   context.
    public init(
        _ checkpoint: Checkpoint, configuration: ModelConfiguration, method: PruningMethod, target: PruningTarget,
        order: PruningOrder = .matrix, calibration: CalibrationTokens? = nil, arithmetic: Arithmetic
    ) throws(PruningError) {
        if let calibration, calibration.length > configuration.maximumContext {
            throw PruningError(
                "the calibration tokens",
                expected: "sequences of at most \(configuration.maximumContext) tokens, the model's context",
                found: "\(calibration.length)")
        }
        let needsTokens = method.makePruner().needs > .nothing
        if needsTokens && calibration == nil {
            throw PruningError("method \(method.rawValue)", expected: "calibration tokens", found: "none")
        }
        self.checkpoint = checkpoint
        self.configuration = configuration
        self.method = method
        self.target = target
        self.order = order
        self.calibration = needsTokens ? calibration : nil
        self.arithmetic = arithmetic
    }

    /// How far a run is.
    public struct Progress: Sendable {
        /// Matrices done, those of layers that an earlier run finished included.
        public let done: Int
        public let count: Int
    }

    /// Writes the pruned model, matrices in f16 (bf16 if they were).
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, if the model is packed or lacks a matrix, or if an
    ///   unfinished run with other settings is in the way; `PruningError`. Finished layers stay for the next run.
    public func prune(
        to destination: ModelRewriter.Destination, progress: (Progress) -> Void = { _ in }
    ) throws -> [MatrixReport] {
        let projections = DecoderLayout(configuration).projections
        let rewriter = try ModelRewriter(checkpoint, matrices: projections.map(\.name), pool: arithmetic.pool)
        let work = WorkFolder(for: destination.path, fingerprint: fingerprint)
        var entries: [String: PrunedLayer.Entry] = [:]
        var reports: [MatrixReport] = []
        try rewriter.write(
            to: destination,
            rewrite: { name, writer in
                // Not before the output folder is known to be writable.
                if entries.isEmpty && calibration != nil {
                    for entry in try pruneLayers(work, progress: progress).flatMap(\.entries) {
                        entries[entry.report.name] = entry
                    }
                }
                let entry = try entries[name] ?? pruneAlone(projections.first { $0.name == name }!)
                try writer.append(name, type: entry.type.elementType, shape: entry.shape, bytes: entry.bytes)
                reports.append(entry.report)
            },
            finish: { try $0.finish(configuration: checkpoint.configuration) })
        if calibration != nil { work.remove(layerCount: configuration.layerCount) }
        return reports
    }

    /// Prunes a matrix without looking at inputs.
    private func pruneAlone(_ projection: DecoderLayout.Projection) throws -> PrunedLayer.Entry {
        let weights = try Matrix(
            reading: projection.name, rows: projection.rows, columns: projection.columns, from: checkpoint)
        return try prune(weights, name: projection.name, by: method.makePruner(), inputs: nil)
    }

    /// What makes two runs the same.
    private var fingerprint: String {
        var model = CRC32C()
        Array(checkpoint.configuration.text().utf8).withUnsafeBytes { model.update($0) }
        let parts: [Any] = [
            3, checkpoint.path, model.checksum, method.rawValue, target.sparsity, target.structure, order.rawValue,
            calibration?.checksum ?? 0,
        ]
        return parts.map { "\($0)" }.joined(separator: " ")
    }

    private func pruneLayers(_ work: WorkFolder, progress: (Progress) -> Void) throws -> [PrunedLayer] {
        guard let calibration else { preconditionFailure("no calibration tokens") }
        let pruner = method.makePruner()
        let layerPruner = try layerPruner(pruner, calibration)
        let count = configuration.layerCount * configuration.family.projections(layer: 0).count
        var layers: [PrunedLayer] = []
        var done = 0
        for index in 0..<configuration.layerCount {
            let names = configuration.family.projections(layer: index)
            let weights = try LayerWeights(checkpoint, configuration: configuration, layer: index)
            progress(Progress(done: done, count: count))
            if let finished = try work.layer(index, names: names) {
                for (entry, matrix) in zip(finished.entries, weights.projections) { try entry.restore(matrix) }
                layerPruner.run(weights)
                layers.append(finished)
                done += names.count
                continue
            }
            var layer = PrunedLayer()
            func stage(_ matrices: [Int], _ inputs: InputStatistics) throws {
                for place in matrices {
                    layer.entries.append(
                        try prune(weights.projections[place], name: names[place], by: pruner, inputs: inputs))
                    done += 1
                    progress(Progress(done: done, count: count))
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

    private func layerPruner(_ pruner: any Pruner, _ tokens: CalibrationTokens) throws -> LayerPruner {
        let forward = LayerForward(
            configuration, length: tokens.length, rotaryFactors: try checkpoint.rotaryFactors(configuration),
            arithmetic: arithmetic)
        let hidden = Matrix(uninitializedRows: tokens.tokenCount, columns: configuration.hiddenSize)
        try checkpoint.embed(tokens.sequences.flatMap(\.self), configuration: configuration, into: hidden)
        return LayerPruner(forward: forward, pruner: pruner, hidden: hidden)
    }

    /// Prunes one matrix and rounds it to what is stored, so that what follows is fitted to that.
    private func prune(
        _ weights: Matrix, name: String, by pruner: any Pruner, inputs: InputStatistics?
    ) throws -> PrunedLayer.Entry {
        let start = ContinuousClock.now
        let before = inputs?.products == nil ? nil : weights.copy()
        try pruner.prune(weights, inputs: inputs, target: target, arithmetic: arithmetic)
        let type = checkpoint.sixteenBitType(of: name)
        let bytes = try weights.narrowed(to: type, name: name, path: checkpoint.path)
        let zeroCount = bytes.reinterpreted(as: UInt16.self)!.count { $0 & 0x7FFF == 0 }
        let entry = PrunedLayer.Entry(
            report: MatrixReport(
                name: name, elementCount: weights.rows * weights.columns, zeroCount: zeroCount,
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
}
