import OrderedJSON
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

    /// Writes the packed folder.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, with the matrix's name, and if the model is packed
    ///   already or lacks a matrix; then nothing is left behind.
    public func pack(to destination: ModelRewriter.Destination, choice: FormatChoice) throws -> [Report] {
        var reports: [Report] = []
        var manifest = PackedManifest()
        let suffixes = Set(PackedFormat.allCases.flatMap(PackedArrays.suffixes))
        try ModelRewriter(checkpoint, matrices: matrices, pool: pool).write(
            to: destination, stored: { name in suffixes.map { name + $0 } },
            rewrite: { name, writer in
                let (matrix, entry) = try pack(name, choice: choice)
                try writer.append(name, matrix)
                manifest.matrices[name] = entry
                reports.append(
                    Report(
                        name: name, format: entry.format, rows: entry.rows, columns: entry.columns,
                        nonzeroCount: entry.nonzeroCount, denseByteCount: 2 * entry.rows * entry.columns,
                        packedByteCount: matrix.storedByteCount))
            },
            finish: { writer in
                manifest.checksums = writer.checksums
                var members = checkpoint.configuration.objectValue ?? [:]
                members[PackedManifest.key] = manifest.json
                try writer.finish(configuration: .object(members))
            })
        return reports
    }

    private func pack(
        _ name: String, choice: FormatChoice
    ) throws(CheckpointError) -> (matrix: PackedMatrix, entry: PackedManifest.Matrix) {
        let dense = try checkpoint.sixteenBitMatrix(name, pool: pool)
        let packed = try checkpoint.naming(name) { () throws(SparseError) in
            try PackedMatrix.pack(
                rows: dense.rows, columns: dense.columns, elements: dense.elements,
                valueType: dense.type.elementType, choice: choice, pool: pool)
        }
        let entry = PackedManifest.Matrix(
            format: packed.matrix.format, valueType: dense.type.elementType, rows: dense.rows,
            columns: dense.columns, nonzeroCount: packed.nonzeroCount)
        return (packed.matrix, entry)
    }
}

extension Checkpoint {
    /// Bytes that each format would take for a matrix, the smallest first, and how many of its elements are not zero.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, with the matrix's name.
    /// - Complexity: O(elements).
    public func packedSizes(
        _ name: String, pool: WorkerPool
    ) throws(CheckpointError) -> (nonzeroCount: Int, sizes: [(format: PackedFormat, byteCount: Int)]) {
        let dense = try sixteenBitMatrix(name, pool: pool)
        return try naming(name) { () throws(SparseError) in
            try PackedMatrix.sizes(
                rows: dense.rows, columns: dense.columns, elements: dense.elements, valueType: dense.type.elementType)
        }
    }

    /// Puts the name of the matrix in front of what a format finds wrong with its elements.
    fileprivate func naming<Result>(
        _ name: String, _ body: () throws(SparseError) -> Result
    ) throws(CheckpointError) -> Result {
        do throws(SparseError) { return try body() } catch {
            throw CheckpointError(
                .notFinite, path: path, subject: "matrix \(name.quoted)", expected: "finite weights",
                found: error.description)
        }
    }
}
