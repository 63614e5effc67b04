import OrderedJSON
public import Sparse
public import Tensors

/// Packs a checkpoint's matrices into a packed folder, one after the other, in memory for one.
public struct ModelPacker {
    /// What became of one matrix.
    public struct Report: Sendable {
        public let name: String
        public let format: PackedFormat
        public let values: PackedValues
        public let rows: Int
        public let columns: Int
        public let nonzeroCount: Int
        /// Bytes as dense 16-bit elements, and as packed.
        public let denseByteCount: Int
        public let packedByteCount: Int
        /// nil where no cost model was asked.
        public let decision: FormatDecision?
    }

    private let checkpoint: Checkpoint
    private let matrices: [String]
    private let tables: Set<String>
    private let pool: WorkerPool

    /// - Parameters:
    ///   - matrices: names of the matrices to pack; everything else is copied.
    ///   - tables: names of the embedding table and the head, whose values may be chosen, too; they stay dense.
    public init(_ checkpoint: Checkpoint, matrices: [String], tables: [String] = [], pool: WorkerPool) {
        self.checkpoint = checkpoint
        self.matrices = matrices
        self.tables = Set(tables)
        self.pool = pool
    }

    /// Writes the packed folder.
    /// - Parameters:
    ///   - values: of the matrices.
    ///   - tableValues: of embedding table and head; exact ones are copied.
    /// - Throws: `CheckpointError`, also for a NaN or an infinity, with the matrix's name, and if the model is packed
    ///   already or lacks a matrix; then nothing is left behind.
    public func pack(
        to destination: ModelRewriter.Destination, choice: FormatChoice, values: ValueChoice = .exact,
        tableValues: ValueChoice = .exact
    ) throws -> [Report] {
        var reports: [Report] = []
        var manifest = PackedManifest()
        if case .fastest(let costs) = choice { manifest.choice = PackedManifest.Choice(costs) }
        let packed = tableValues == .exact ? matrices : matrices + tables
        try ModelRewriter(checkpoint, matrices: packed, pool: pool).write(
            to: destination, stored: { name in PackedArrays.all.map { name + $0 } },
            rewrite: { name, writer in
                let (packing, entry) =
                    try tables.contains(name)
                    ? pack(name, choice: .fixed(.dense), values: tableValues)
                    : pack(name, choice: choice, values: values)
                try writer.append(name, packing.matrix)
                manifest.matrices[name] = entry
                reports.append(
                    Report(
                        name: name, format: entry.format, values: entry.values, rows: entry.rows,
                        columns: entry.columns, nonzeroCount: entry.nonzeroCount,
                        denseByteCount: 2 * entry.rows * entry.columns,
                        packedByteCount: packing.matrix.storedByteCount, decision: packing.decision))
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
        _ name: String, choice: FormatChoice, values: ValueChoice
    ) throws(CheckpointError) -> (packing: PackedMatrix.Packing, entry: PackedManifest.Matrix) {
        let dense = try checkpoint.sixteenBitMatrix(name, pool: pool)
        let packed = try checkpoint.naming(name) { () throws(SparseError) in
            try PackedMatrix.pack(
                rows: dense.rows, columns: dense.columns, elements: dense.elements,
                valueType: dense.type.elementType, choice: choice, values: values, pool: pool)
        }
        let stored: PackedValues =
            switch values {
            case .exact: .elements(dense.type.elementType)
            case .quantized(let coding, let group): .integers(coding, group)
            }
        let entry = PackedManifest.Matrix(
            format: packed.matrix.format, values: stored, rows: dense.rows, columns: dense.columns,
            nonzeroCount: packed.nonzeroCount, reason: packed.decision?.reason)
        return (packed, entry)
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
                rows: dense.rows, columns: dense.columns, elements: dense.elements, valueType: dense.type.elementType,
                pool: pool)
        }
    }

    /// Puts the name of the matrix in front of what a format finds wrong with its elements.
    public func naming<Result>(
        _ name: String, _ body: () throws(SparseError) -> Result
    ) throws(CheckpointError) -> Result {
        do throws(SparseError) { return try body() } catch {
            throw CheckpointError(
                .notFinite, path: path, subject: "matrix \(name.quoted)", expected: "finite weights",
                found: error.description)
        }
    }
}
