import Checkpoints
import Engine
import Sparse
import Synchronization
import Tensors
import Transformer

/// What there is to know about a model: its files, its tokenizer, and every matrix that is pruned and packed.
struct ModelInspection {
    /// One matrix as it is packed, or as `pack --format auto` would pack it.
    struct Matrix: Sendable {
        let projection: DecoderLayout.Projection
        /// The file's word for the elements' type.
        let storedType: String
        /// How many columns share a scale; nil for values that are no integers.
        var group: ScaleGroup?
        let format: PackedFormat
        let nonzeroCount: Int
        let packedByteCount: Int
        /// nil for a packed model whose formats no cost model chose.
        var reason: ChoiceReason?
        /// What else a model that is not packed could become.
        var decision: FormatDecision?

        var denseByteCount: Int { 2 * projection.elementCount }
        var bytesPerWeight: Double { Double(packedByteCount) / Double(projection.elementCount) }
        var sparsity: Double { 1 - Double(nonzeroCount) / Double(projection.elementCount) }
    }

    let files: ModelFiles
    /// nil if the model comes without one.
    let tokenizer: TokenizerBundle?
    /// Layer by layer.
    let matrices: [Matrix]
    /// A tensor that is none of the matrices: embedding, norm or head, which may be quantised, or one that no model
    /// needs.
    struct Other: Sendable {
        let name: String
        let shape: [Int]
        let storedType: String
        let byteCount: Int
    }

    let others: [Other]
    /// How many matrices and tensors were checked against their checksums; nil if none were asked for.
    var verifiedCount: Int?

    /// What chooses formats for a model that is not packed.
    private let costs: CostModel?
    /// How many rows of each matrix were read, where that was not all; nil where nothing is an estimate.
    let sampledRows: Int?

    /// Models of more bytes are looked at by a sample: reading all of them takes longer than a person wants to wait.
    private static let exactByteLimit = 1 << 30
    /// Of 64 rows of some thousand weights the share of zeros is known within some tenths of a percent.
    private static let sampleRowCount = 64
    /// Other tensors, if they are smaller, are read whole even then: the norms.
    private static let sampleByteLimit = 1 << 20

    /// What chose the formats, or would; nil if that was the number of bytes or a person.
    var choice: (machine: MachineProfile.Machine, tokenCounts: [Int])? {
        costs.map { ($0.profile.machine, $0.tokenCounts) }
            ?? files.packed?.manifest.choice.map { ($0.machine, $0.tokenCounts) }
    }

    /// Reads the weights of a model that is not packed, to count zeros and to find what is not finite: all of them, or
    /// of a large model some rows of each matrix. Of a packed one it reads what was written down about them.
    /// - Parameters:
    ///   - exact: whether all weights are read, however large the model is.
    ///   - costs: what chooses formats for a model that is not packed; without it that is the number of bytes.
    ///   - progress: called with the number of tensors read and to read, from several threads.
    /// - Throws: the first error in the order of the layers.
    init(
        _ files: ModelFiles, costs: CostModel?, exact: Bool, pool: WorkerPool, progress: @Sendable (Int, Int) -> Void
    ) throws {
        self.files = files
        self.costs = costs
        tokenizer = try files.hasTokenizer ? try files.tokenizer() : nil
        let checkpoint = files.checkpoint
        let projections = files.layout.projections
        let byteCount = checkpoint.tensors.reduce(0) { $0 + $1.byteCount }
        let sampledRows =
            files.packed == nil && !exact && byteCount > Self.exactByteLimit ? Self.sampleRowCount : nil
        self.sampledRows = sampledRows
        let names = Set(projections.map(\.name))
        let otherNames = (files.packed?.names ?? checkpoint.tensors.map(\.name)).filter { !names.contains($0) }
        others = try otherNames.compactMap { try Self.other($0, files) }
        let unchecked =
            files.packed == nil
            ? otherNames.compactMap { checkpoint[$0] }.filter {
                $0.encoding.isReadable && (sampledRows == nil || $0.byteCount <= Self.sampleByteLimit)
            } : []
        let total = projections.count + unchecked.count
        // The pool is busy with whole matrices, so each thread works on its own one alone.
        let alone = (0..<pool.threadCount).map { _ in WorkerPool(threadCount: 1) }
        let found = Mutex<[Int: Matrix]>([:])
        let done = Atomic(0)
        try pool.forEachIndex(total) { index, thread in
            if index < projections.count {
                let matrix = try Self.inspect(
                    projections[index], files, costs: costs, sampledRows: sampledRows, pool: alone[thread])
                found.withLock { $0[index] = matrix }
            } else {
                try Self.checkFinite(unchecked[index - projections.count], checkpoint, pool: alone[thread])
            }
            progress(done.add(1, ordering: .relaxed).newValue, total)
        }
        let matrices = found.withLock { $0 }
        self.matrices = projections.indices.map { matrices[$0]! }
    }

    private static func inspect(
        _ projection: DecoderLayout.Projection, _ files: ModelFiles, costs: CostModel?, sampledRows: Int?,
        pool: WorkerPool
    ) throws(CheckpointError) -> Matrix {
        let name = projection.name
        if let entry = files.packed?.manifest.matrices[name], let matrix = try files.packed?.matrix(name) {
            return Matrix(
                projection: projection, storedType: entry.values.name.uppercased(), group: entry.values.group,
                format: entry.format, nonzeroCount: entry.nonzeroCount, packedByteCount: matrix.storedByteCount,
                reason: entry.reason)
        }
        defer { files.checkpoint.release(name) }
        let (nonzeroCount, sizes) =
            if let sampledRows {
                try files.checkpoint.packedSizes(name, sampledRows: sampledRows, pool: pool)
            } else {
                try files.checkpoint.packedSizes(name, pool: pool)
            }
        let decision = costs?.decide(
            sizes: sizes, coding: nil, weights: projection.elementCount, nonzeroCount: nonzeroCount)
        return Matrix(
            projection: projection, storedType: files.checkpoint[name]?.storedType ?? "",
            format: decision?.chosen.format ?? sizes[0].format, nonzeroCount: nonzeroCount,
            packedByteCount: decision?.chosen.byteCount ?? sizes[0].byteCount, reason: decision?.reason,
            decision: decision)
    }

    private static func other(_ name: String, _ files: ModelFiles) throws(CheckpointError) -> Other? {
        if let entry = files.packed?.manifest.matrices[name], let matrix = try files.packed?.matrix(name) {
            return Other(
                name: name, shape: [entry.rows, entry.columns], storedType: entry.values.name.uppercased(),
                byteCount: matrix.storedByteCount)
        }
        return files.checkpoint[name].map {
            Other(name: name, shape: $0.shape, storedType: $0.storedType, byteCount: $0.byteCount)
        }
    }

    private static func checkFinite(
        _ tensor: TensorDescription, _ checkpoint: Checkpoint, pool: WorkerPool
    ) throws(CheckpointError) {
        defer { checkpoint.release(tensor.name) }
        if tensor.encoding.elementType == nil {
            _ = try checkpoint.elements(tensor.name, as: .bf16, pool: pool)
        } else {
            try checkpoint.checkFinite(tensor.name)
        }
    }
}

extension ModelFiles {
    /// Reads a packed model whole and checks every tensor against its checksum and format.
    /// - Returns: how many matrices and other tensors there are.
    /// - Throws: `CheckpointError` naming the tensor that is not what was written; also if the model is not packed.
    func verify(pool: WorkerPool, progress: @Sendable (Int, Int) -> Void) throws -> Int {
        guard let packed else {
            throw CommandFailure(
                "\(checkpoint.path): only packed models have checksums to verify, and this one is not packed")
        }
        let names = packed.names
        let done = Atomic(0)
        try pool.forEachIndex(names.count) { index, _ in
            try packed.check(names[index])
            progress(done.add(1, ordering: .relaxed).newValue, names.count)
        }
        return names.count
    }
}

extension Sequence<ModelInspection.Matrix> {
    var elementCount: Int { reduce(0) { $0 + $1.projection.elementCount } }
    var nonzeroCount: Int { reduce(0) { $0 + $1.nonzeroCount } }
    var denseByteCount: Int { reduce(0) { $0 + $1.denseByteCount } }
    var packedByteCount: Int { reduce(0) { $0 + $1.packedByteCount } }
    /// The share of zeros in all of them together.
    var sparsity: Double { 1 - Double(nonzeroCount) / Double(Swift.max(elementCount, 1)) }
}
