public import Checkpoints
public import LinearAlgebra
import Tensors
import Training
public import Transformer

/// Trains a pruned model on the dense one's distributions and writes it again, with the same zeros.
public struct ModelRecovery {
    public let dense: Checkpoint
    public let pruned: Checkpoint
    public let configuration: ModelConfiguration
    public let calibration: CalibrationTokens
    public let steps: Int
    public let arithmetic: Arithmetic

    /// Sequences of one step, and of what is held out to see whether it helps.
    public static let sequencesPerStep = 2
    public static let heldOutSequences = 4

    /// What it did.
    public struct Report: Sendable {
        /// The mean divergence from the dense model on tokens that were held out, in nats.
        public let before: Double
        public let after: Double
        /// That of each step's tokens, before they were learnt.
        public let losses: [Double]
        public let tokenCount: Int
    }

    /// - Throws: `PruningError` if the models are not of one shape, or there are too few tokens to learn from.
    public init(
        dense: Checkpoint, pruned: Checkpoint, configuration: ModelConfiguration, calibration: CalibrationTokens,
        steps: Int, arithmetic: Arithmetic
    ) throws(PruningError) {
        precondition(steps >= 1)
        for projection in DecoderLayout(configuration).projections {
            guard let left = dense[projection.name], let right = pruned[projection.name], left.shape == right.shape
            else {
                throw PruningError(
                    "\(pruned.path): \(projection.name)",
                    expected: "shape \(dense[projection.name]?.shape ?? []), as in the dense model",
                    found: "\(pruned[projection.name]?.shape ?? [])")
            }
        }
        let least = Self.heldOutSequences + Self.sequencesPerStep
        guard calibration.sequences.count >= least else {
            throw PruningError(
                "the calibration tokens", expected: "at least \(least) sequences, \(Self.heldOutSequences) to hold out",
                found: "\(calibration.sequences.count)")
        }
        self.dense = dense
        self.pruned = pruned
        self.configuration = configuration
        self.calibration = calibration
        self.steps = steps
        self.arithmetic = arithmetic
    }

    /// Sequences that ``steps`` steps learn from without seeing one twice, and those held out.
    public static func sequenceCount(steps: Int) -> Int { steps * sequencesPerStep + heldOutSequences }

    /// - Parameter progress: called with the number of steps done and the last one's divergence.
    /// - Throws: `CheckpointError`; then nothing is left behind.
    public func recover(
        to destination: ModelRewriter.Destination, progress: (Int, Double?) -> Void = { _, _ in }
    ) throws -> Report {
        let names = DecoderLayout(configuration).projections.map(\.name)
        var trained: (report: Report, matrices: [String: Matrix])?
        try ModelRewriter(pruned, matrices: names, pool: arithmetic.pool).write(
            to: destination,
            rewrite: { name, writer in
                // Not before the output folder is known to be writable.
                let result = try trained ?? train(progress: progress)
                trained = result
                guard let matrix = result.matrices[name] else { preconditionFailure("no layer has \(name)") }
                let type = pruned.sixteenBitType(of: name)
                let bytes = try matrix.narrowed(to: type, name: name, path: pruned.path)
                try writer.append(name, type: type.elementType, shape: [matrix.rows, matrix.columns], bytes: bytes)
            },
            finish: { try $0.finish(configuration: pruned.configuration) })
        guard let trained else { preconditionFailure("a model without projections") }
        return trained.report
    }

    private func train(progress: (Int, Double?) -> Void) throws -> (report: Report, matrices: [String: Matrix]) {
        progress(0, nil)
        let distiller = try Distiller(
            student: pruned, teacher: dense, configuration: configuration, sequences: Self.sequencesPerStep,
            length: calibration.length, arithmetic: arithmetic)
        let heldOut = Array(calibration.sequences.suffix(Self.heldOutSequences))
        let learnt = calibration.sequences.dropLast(Self.heldOutSequences)
        let before = try loss(of: distiller, on: heldOut)
        var losses: [Double] = []
        for step in 0..<steps {
            let batch = (0..<Self.sequencesPerStep).map { learnt[(step * Self.sequencesPerStep + $0) % learnt.count] }
            losses.append(try distiller.step(batch, of: steps))
            progress(step + 1, losses.last)
        }
        let report = Report(
            before: before, after: try loss(of: distiller, on: heldOut), losses: losses,
            tokenCount: steps * Self.sequencesPerStep * calibration.length)
        var matrices: [String: Matrix] = [:]
        for (index, layer) in distiller.layers.enumerated() {
            for (name, matrix) in zip(configuration.family.projections(layer: index), layer.projections) {
                matrices[name] = matrix
            }
        }
        return (report, matrices)
    }

    private func loss(of distiller: Distiller, on sequences: [[Int32]]) throws -> Double {
        var sum = 0.0
        for first in stride(from: 0, to: sequences.count, by: Self.sequencesPerStep) {
            sum += try distiller.loss(Array(sequences[first..<first + Self.sequencesPerStep]))
        }
        return sum * Double(Self.sequencesPerStep) / Double(sequences.count)
    }
}

extension Matrix {
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
