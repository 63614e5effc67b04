public import Checkpoints
public import LinearAlgebra
public import Sparse
import Tensors
import Training
public import Transformer

/// Trains a pruned model on the dense one's distributions and writes it again, with the same zeros.
///
/// Its state lies beside the output, so that a run that was interrupted goes on from there.
public struct ModelRecovery {
    public let pruned: Checkpoint
    public let configuration: ModelConfiguration
    private let recovery: Recovery

    /// Adam's highest rate, if nobody says another.
    public static var usualRate: Float { Distiller.Settings().rate }

    /// - Parameters:
    ///   - rate: of Adam, at its highest.
    ///   - values: of few bits, that the model is rounded to and keeps having; nil for none.
    ///   - arithmetic: best with the precision `.bfloat16`.
    /// - Throws: `PruningError` if the models are not of one shape, or there are too few tokens to learn from.
    public init(
        dense: Checkpoint, pruned: Checkpoint, configuration: ModelConfiguration, calibration: CalibrationTokens,
        length: RecoveryLength, rate: Float = Self.usualRate, values: ValueGrid? = nil, arithmetic: Arithmetic
    ) throws(PruningError) {
        for projection in DecoderLayout(configuration).projections {
            guard let left = dense[projection.name], let right = pruned[projection.name], left.shape == right.shape
            else {
                throw PruningError(
                    "\(pruned.path): \(projection.name)",
                    expected: "shape \(dense[projection.name]?.shape ?? []), as in the dense model",
                    found: "\(pruned[projection.name]?.shape ?? [])")
            }
        }
        self.pruned = pruned
        self.configuration = configuration
        var settings = Distiller.Settings()
        settings.rate = rate
        recovery = try Recovery(
            dense: dense, configuration: configuration, calibration: calibration, length: length, values: values,
            settings: settings, arithmetic: arithmetic)
    }

    /// - Parameter progress: called after each step; throws to stop.
    /// - Throws: `CheckpointError`, also if an unfinished run with other settings is in the way.
    public func recover(
        to destination: ModelRewriter.Destination, progress: (RecoveryProgress) throws -> Void = { _ in }
    ) throws -> RecoveryReport {
        let names = DecoderLayout(configuration).projections.map(\.name)
        let work = WorkFolder(for: destination.path, fingerprint: "\(pruned.path) \(recovery.fingerprint)")
        var trained: (report: RecoveryReport, matrices: [String: Matrix])?
        try ModelRewriter(pruned, matrices: names, pool: recovery.arithmetic.pool).write(
            to: destination,
            rewrite: { name, writer in
                // Not before the output folder is known to be writable.
                let result = try trained ?? train(work, progress: progress)
                trained = result
                guard let matrix = result.matrices[name] else { preconditionFailure("no layer has \(name)") }
                let type = matrix.storedType(of: name, in: pruned, values: recovery.values)
                let bytes = try matrix.narrowed(to: type, name: name, path: pruned.path)
                try writer.append(name, type: type.elementType, shape: [matrix.rows, matrix.columns], bytes: bytes)
            },
            finish: { try $0.finish(configuration: pruned.configuration) })
        work.remove(layerCount: 0)
        guard let trained else { preconditionFailure("a model without projections") }
        return trained.report
    }

    private func train(
        _ work: WorkFolder, progress: (RecoveryProgress) throws -> Void
    ) throws -> (report: RecoveryReport, matrices: [String: Matrix]) {
        let layers = try (0..<configuration.layerCount).map {
            try LayerWeights(pruned, configuration: configuration, layer: $0)
        }
        let report = try recovery.run(layers, work: work, progress: progress)
        var matrices: [String: Matrix] = [:]
        for (index, layer) in layers.enumerated() {
            for (name, matrix) in zip(configuration.family.projections(layer: index), layer.projections) {
                matrices[name] = matrix
            }
        }
        return (report, matrices)
    }
}

extension Matrix {
    /// The type in which a checkpoint's matrix is stored again; values of few bits exactly.
    func storedType(of name: String, in checkpoint: Checkpoint, values: ValueGrid?) -> WeightType {
        if values == nil { return checkpoint.sixteenBitType(of: name) }
        return elements.allSatisfy { Float(Float16($0)) == $0 } ? .f16 : .f32
    }

    /// The elements as they are stored.
    /// - Throws: `CheckpointError` naming the first that is NaN or infinite.
    func narrowed(to type: WeightType, name: String, path: String) throws(CheckpointError) -> Storage<UInt8> {
        let output = AlignedBuffer<UInt8>(uninitializedCount: rows * columns * type.byteCount)
        if let index = type.narrow(
            UnsafeBufferPointer(elements), into: UnsafeMutableRawBufferPointer(output.elements))
        {
            throw CheckpointError(
                .notFinite, path: path, subject: "matrix \"\(name)\"", expected: "finite weights in \(type)",
                found: "\(elements[index]) at row \(index / columns), column \(index % columns)")
        }
        return output.frozen()
    }
}
