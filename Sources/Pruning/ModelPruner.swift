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

    /// Writes the pruned model at `path`, matrices in f16 (bf16 if they were).
    /// - Parameters:
    ///   - sparsity: share of zeros, 0..<1.
    ///   - companions: writes the tokenizer's files into the folder.
    ///   - progress: called with the number of tensors done and in all.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity; then nothing is left behind.
    public func prune(
        to path: String, overwriting: Bool, sparsity: Double, companions: (FolderWriter) throws -> Void,
        progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> [Report] {
        if try PackedWeights(checkpoint) != nil {
            throw CheckpointError(
                .conflict, path: checkpoint.path, subject: "the model", expected: "a model that is not packed",
                found: "a packed one")
        }
        let folder = try FolderWriter(path: path, overwriting: overwriting)
        let names = checkpoint.tensors.map(\.name)
        let tensors = try SafetensorsWriter(path: folder.partialPath(of: "model.safetensors"), names: names)
        let wanted = Set(matrices)
        var reports: [Report] = []
        for (index, name) in names.enumerated() {
            let shape = checkpoint[name]?.shape ?? []
            if wanted.contains(name) {
                let (type, bytes, report) = try prune(name, sparsity: sparsity)
                try tensors.append(
                    name, type: type.elementType, shape: shape, bytes: UnsafeRawBufferPointer(bytes.buffer))
                reports.append(report)
            } else {
                let (type, bytes) = try checkpoint.portableElements(name, pool: pool)
                try tensors.append(name, type: type, shape: shape, bytes: UnsafeRawBufferPointer(bytes.buffer))
            }
            checkpoint.release(name)
            progress(index + 1, names.count)
        }
        try tensors.finish()
        try folder.write(checkpoint.configuration.text(pretty: true) + "\n", to: "config.json")
        try companions(folder)
        try folder.finish()
        return reports
    }

    private func prune(
        _ name: String, sparsity: Double
    ) throws(CheckpointError) -> (type: WeightType, bytes: Storage<UInt8>, report: Report) {
        guard let description = checkpoint[name], description.shape.count == 2 else {
            throw CheckpointError(
                .missing, path: checkpoint.path, subject: "matrix \(name)", expected: "it among the tensors",
                found: "none")
        }
        let (rows, columns) = (description.rows, description.columns)
        let type: WeightType = description.encoding.elementType == .bf16 ? .bf16 : .f16
        let count = rows * columns
        let weights = AlignedBuffer<Float>(uninitializedCount: count)
        try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(weights.elements))
        let matrix = PrunableMatrix(rows: rows, columns: columns, weights: weights.elements)
        pruner.prune(matrix, sparsity: sparsity, pool: pool)
        let output = AlignedBuffer<UInt8>(uninitializedCount: count * type.byteCount)
        if let index = type.narrow(
            UnsafeBufferPointer(weights.elements), into: UnsafeMutableRawBufferPointer(output.elements))
        {
            throw CheckpointError(
                .notFinite, path: checkpoint.path, subject: "tensor \(name)",
                expected: "finite weights in \(type)",
                found: "\(weights.elements[index]) at row \(index / columns), column \(index % columns)")
        }
        let zeroCount = weights.elements.count { $0 == 0 }
        return (type, output.frozen(), Report(name: name, elementCount: count, zeroCount: zeroCount))
    }
}
