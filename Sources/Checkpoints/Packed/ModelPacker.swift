public import Sparse
public import Tensors

/// Packs a checkpoint's matrices into a packed folder, one after the other, in memory for one.
public struct ModelPacker {
    /// What became of one matrix.
    public struct Report: Sendable {
        public let name: String
        public let format: PackedFormat
        public let rows: Int
        public let columns: Int
        public let nonzeroCount: Int
        /// Bytes as dense 16-bit elements, and as packed.
        public let denseByteCount: Int
        public let packedByteCount: Int
    }

    private let checkpoint: Checkpoint
    private let matrices: [String]
    private let pool: WorkerPool

    /// - Parameters:
    ///   - matrices: names of the matrices to pack; everything else is copied.
    public init(_ checkpoint: Checkpoint, matrices: [String], pool: WorkerPool) {
        self.checkpoint = checkpoint
        self.matrices = matrices
        self.pool = pool
    }

    /// Writes the packed folder at `path`.
    /// - Parameters:
    ///   - companions: writes the tokenizer's files into the folder.
    ///   - progress: called with the number of tensors done and in all.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, with the matrix's name; then nothing is left behind.
    public func pack(
        to path: String, overwriting: Bool, choice: FormatChoice,
        companions: (FolderWriter) throws -> Void, progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> [Report] {
        if try PackedWeights(checkpoint) != nil {
            throw CheckpointError(
                .conflict, path: checkpoint.path, subject: "the model", expected: "a model that is not packed yet",
                found: "a packed one")
        }
        let names = checkpoint.tensors.map(\.name)
        let writer = try PackedFolderWriter(
            path: path, overwriting: overwriting, configuration: checkpoint.configuration, names: names)
        let wanted = Set(matrices)
        var reports: [Report] = []
        for (index, name) in names.enumerated() {
            if wanted.contains(name) {
                reports.append(try pack(name, into: writer, choice: choice))
            } else {
                let (type, bytes) = try checkpoint.portableElements(name, pool: pool)
                try writer.append(name, type: type, shape: checkpoint[name]?.shape ?? [], bytes: bytes)
            }
            checkpoint.release(name)
            progress(index + 1, names.count)
        }
        try companions(writer.folder)
        try writer.finish()
        return reports
    }

    private func pack(
        _ name: String, into writer: PackedFolderWriter, choice: FormatChoice
    ) throws(CheckpointError) -> Report {
        let analysis = try checkpoint.sixteenBitMatrix(name, pool: pool)
        let packed: (matrix: PackedMatrix, nonzeroCount: Int)
        do throws(SparseError) {
            packed = try PackedMatrix.pack(
                rows: analysis.rows, columns: analysis.columns, elements: analysis.elements,
                valueType: analysis.type.elementType, choice: choice, pool: pool)
        } catch {
            throw CheckpointError(
                .notFinite, path: checkpoint.path, subject: "matrix \(name.quoted)", expected: "finite weights",
                found: error.description)
        }
        try writer.append(name, packed.matrix, nonzeroCount: packed.nonzeroCount)
        return Report(
            name: name, format: packed.matrix.format, rows: analysis.rows, columns: analysis.columns,
            nonzeroCount: packed.nonzeroCount, denseByteCount: 2 * analysis.rows * analysis.columns,
            packedByteCount: packed.matrix.storedByteCount)
    }
}
