public import Checkpoints
public import Tensors

/// Prunes a checkpoint's matrices into a Hugging Face-shaped folder, one after the other, in memory for one.
public struct ModelPruner {
    /// What became of one matrix.
    public struct Report: Sendable {
        public let name: String
        public let elementCount: Int
        public let zeroCount: Int
    }

    private let checkpoint: Checkpoint
    private let matrices: [String]
    private let pruner: any Pruner
    private let pool: WorkerPool

    /// - Parameter matrices: names of the matrices to prune; everything else is copied.
    public init(_ checkpoint: Checkpoint, matrices: [String], pruner: any Pruner, pool: WorkerPool) {
        self.checkpoint = checkpoint
        self.matrices = matrices
        self.pruner = pruner
        self.pool = pool
    }

    /// Writes the pruned model, matrices in f16 (bf16 if they were).
    /// - Parameter sparsity: share of zeros, 0..<1.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, and if the model is packed or lacks a matrix; then
    ///   nothing is left behind.
    public func prune(to destination: ModelRewriter.Destination, sparsity: Double) throws -> [Report] {
        var reports: [Report] = []
        try ModelRewriter(checkpoint, matrices: matrices, pool: pool).write(
            to: destination,
            rewrite: { name, writer in
                let (type, bytes, report) = try prune(name, sparsity: sparsity)
                try writer.append(name, type: type.elementType, shape: checkpoint[name]?.shape ?? [], bytes: bytes)
                reports.append(report)
            },
            finish: { try $0.finish(configuration: checkpoint.configuration) })
        return reports
    }

    private func prune(
        _ name: String, sparsity: Double
    ) throws(CheckpointError) -> (type: WeightType, bytes: Storage<UInt8>, report: Report) {
        guard let description = checkpoint[name], description.shape.count == 2, description.elementCount > 0 else {
            throw CheckpointError(
                .damaged, path: checkpoint.path, subject: "tensor \"\(name)\"", expected: "a matrix",
                found: "shape \(checkpoint[name]?.shape ?? [])")
        }
        let (rows, columns) = (description.rows, description.columns)
        let type: WeightType = description.encoding.elementType == .bf16 ? .bf16 : .f16
        let count = rows * columns
        let weights = AlignedBuffer<Float>(uninitializedCount: count)
        defer { withExtendedLifetime(weights) {} }  // its elements do not keep it alive
        try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(weights.elements))
        let matrix = PrunableMatrix(rows: rows, columns: columns, weights: weights.elements)
        pruner.prune(matrix, sparsity: sparsity, pool: pool)
        let output = AlignedBuffer<UInt8>(uninitializedCount: count * type.byteCount)
        if let index = type.narrow(
            UnsafeBufferPointer(weights.elements), into: UnsafeMutableRawBufferPointer(output.elements))
        {
            throw CheckpointError(
                .notFinite, path: checkpoint.path, subject: "tensor \"\(name)\"",
                expected: "finite weights in \(type)",
                found: "\(weights.elements[index]) at row \(index / columns), column \(index % columns)")
        }
        // Counted as stored: a weight too small for 16 bits has become a zero, and -0.0 is one.
        let zeroCount = output.frozen().reinterpreted(as: UInt16.self)!.count { $0 & 0x7FFF == 0 }
        return (type, output.frozen(), Report(name: name, elementCount: count, zeroCount: zeroCount))
    }
}
