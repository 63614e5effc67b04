import Checkpoints
public import Sparse
import Tensors

/// How the matrices of a model's layers are packed while it is opened: pruned checkpoints are mostly dense files full
/// of zeros. The embedding table stays as it is.
public struct LoadPacking {
    /// What becomes of the values.
    public var values: ValueChoice
    /// Matrices with a smaller share of zeros stay as they are, and of large ones only a sample is read to see that.
    public var minimumSparsity: Double
    /// The head, too.
    public var includesHead: Bool
    /// What chooses formats. Asked for once, when the first matrix is sparse enough: it may have to be measured.
    public var formats: () throws -> FormatChoice

    public init(
        values: ValueChoice, minimumSparsity: Double, includesHead: Bool = false,
        formats: @escaping () throws -> FormatChoice
    ) {
        self.values = values
        self.minimumSparsity = minimumSparsity
        self.includesHead = includesHead
        self.formats = formats
    }

    /// Every matrix dense, of eight bits: as good as the model is, and twice as fast where many sequences are decoded
    /// together.
    public static var eightBits: LoadPacking {
        LoadPacking(values: .quantized(.i8, .columns128), minimumSparsity: 0, includesHead: true) { .fixed(.dense) }
    }

    /// Below it a model was not pruned to be small, and reading all of it would cost more than packing can gain.
    public static let prunedSparsity = 0.3
}

/// What packing at opening has come to.
public struct PackedAtLoad: Sendable, Equatable {
    public internal(set) var matrixCount = 0
    /// Bytes as dense 16-bit elements, and as packed.
    public internal(set) var denseByteCount = 0
    public internal(set) var byteCount = 0
}

/// Packs matrix after matrix, in memory for one.
final class LoadPacker {
    private let packing: LoadPacking
    private let checkpoint: Checkpoint
    private let pool: WorkerPool
    private var formats: FormatChoice?
    private(set) var result = PackedAtLoad()

    /// Rows that are read of a matrix to estimate its share of zeros, evenly spread. Of 64 rows of 576 weights the
    /// share is known within 1 %, and a matrix of 4096 rows is read by a sixty-fourth.
    private static let sampledRows = 64

    init(_ packing: LoadPacking, checkpoint: Checkpoint, pool: WorkerPool) {
        self.packing = packing
        self.checkpoint = checkpoint
        self.pool = pool
    }

    /// A matrix of the checkpoint, packed.
    /// - Parameters:
    ///   - type: f16 or bf16.
    ///   - arena: where the packed arrays go.
    /// - Returns: nil if it has too few zeros, or is the fastest as it is.
    /// - Throws: `CheckpointError` naming the matrix, also for a NaN or an infinity; what ``LoadPacking/formats``
    ///   throws.
    func pack(
        _ name: String, rows: Int, columns: Int, as type: WeightType, arena: Arena
    ) throws -> PackedMatrix? {
        guard try sparsity(of: name, rows: rows, columns: columns, as: type) >= packing.minimumSparsity else {
            return nil
        }
        let formats = try self.formats ?? packing.formats()
        self.formats = formats
        let bytes = try checkpoint.elements(name, as: type, pool: pool)
        defer { checkpoint.release(name) }
        // Elements of 16 bits are aligned to them, mapped or decoded.
        guard let elements = bytes.reinterpreted(as: UInt16.self) else { return nil }
        let packed = try checkpoint.naming(name) { () throws(SparseError) in
            try PackedMatrix.pack(
                rows: rows, columns: columns, elements: elements, valueType: type.elementType, choice: formats,
                values: packing.values, pool: pool
            ).matrix
        }
        if case .dense = packed { return nil }
        result.matrixCount += 1
        result.denseByteCount += 2 * rows * columns
        result.byteCount += packed.storedByteCount
        return packed.copied(in: arena)
    }

    /// The share of zeros in a sample of the rows.
    private func sparsity(of name: String, rows: Int, columns: Int, as type: WeightType) throws -> Double {
        if packing.minimumSparsity <= 0 { return 1 }
        let count = min(rows, Self.sampledRows)
        let line = AlignedBuffer<UInt16>(uninitializedCount: columns)
        var zeros = 0
        for index in 0..<count {
            let row = index * rows / count
            try checkpoint.read(
                name, rows: row..<row + 1, as: type, into: UnsafeMutableRawBufferPointer(line.elements))
            // -0.0 is a zero.
            zeros += line.elements.count { $0 & 0x7FFF == 0 }
        }
        return Double(zeros) / Double(count * columns)
    }
}
