import OrderedCollections
import Sparse
public import Tensors

/// A model's tensors as plain elements under Hugging Face's names, whether the model is packed or not; those that its
/// type's files hold fused, fused.
public struct PlainWeights: Sendable {
    public let checkpoint: Checkpoint
    /// nil if the model is not packed.
    private let packed: PackedWeights?
    private let fused: FusedTensors
    private let pool: WorkerPool

    /// Every tensor of the model.
    public var names: [String] { fused.names }

    /// - Parameter turning: whether matrices whose rows are columns in the type's folders are so here.
    /// - Throws: `CheckpointError` if the description of a packed model is damaged.
    public init(_ checkpoint: Checkpoint, turning: Bool = true, pool: WorkerPool) throws(CheckpointError) {
        self.checkpoint = checkpoint
        self.pool = pool
        packed = try PackedWeights(checkpoint)
        fused = FusedTensors(
            packed?.names ?? checkpoint.tensors.map(\.name),
            layout: FolderLayout.describing(checkpoint.configuration), turning: turning)
    }

    /// More elements than this has no tensor: sums of sizes cannot overflow.
    private static let elementLimit = 1 << 40

    /// - Throws: `CheckpointError` if there is no such tensor, or one of more elements than there can be.
    public func shape(of name: String) throws(CheckpointError) -> [Int] {
        guard let fusion = fused.fusions[name] else { return try shape(ofPlain: name) }
        var shape = try shape(ofPlain: fusion.parts[0])
        for part in fusion.parts.dropFirst() {
            let other = try self.shape(ofPlain: part)
            guard other.dropFirst() == shape.dropFirst() else {
                throw CheckpointError(
                    .damaged, path: checkpoint.path, subject: "tensor \(part.quoted)",
                    expected: "as many columns as \(fusion.parts[0].quoted) has", found: "shape \(other)")
            }
            shape[0] += other[0]
        }
        return fusion.isTransposed ? shape.reversed() : shape
    }

    private func shape(ofPlain name: String) throws(CheckpointError) -> [Int] {
        let matrix = packed?.manifest.matrices[name]
        guard let shape = matrix.map({ [$0.rows, $0.columns] }) ?? checkpoint[name]?.shape else {
            throw CheckpointError(
                .missing, path: checkpoint.path, subject: "tensor \(name.quoted)", expected: "it among the tensors",
                found: "none of that name")
        }
        guard let count = overflowSafeProduct(shape), count <= Self.elementLimit else {
            throw CheckpointError(
                .unsupported, path: checkpoint.path, subject: "tensor \(name.quoted)",
                expected: "at most \(Self.elementLimit) elements", found: "the shape \(shape)")
        }
        return shape
    }

    /// The type that keeps a tensor's values as they are, or nearly so: its own; f16 for matrices of integers and of
    /// blocks, f32 for vectors of blocks. nil for what is no weight, such as a tensor of indices.
    public func plainType(of name: String) -> WeightType? {
        guard let fusion = fused.fusions[name] else { return plainType(ofPlain: name) }
        let types = Set(fusion.parts.map(plainType(ofPlain:)))
        // f32 holds what the others do.
        return types.count == 1 ? types.first! : types.contains(nil) ? nil : .f32
    }

    private func plainType(ofPlain name: String) -> WeightType? {
        if let matrix = packed?.manifest.matrices[name] {
            guard case .elements(let type) = matrix.values else { return .f16 }
            return WeightType(rawValue: type.rawValue)
        }
        guard let description = checkpoint[name], description.encoding.isReadable else { return nil }
        guard let type = description.encoding.elementType else { return description.shape.count >= 2 ? .f16 : .f32 }
        return WeightType(rawValue: type.rawValue)
    }

    /// All elements of a tensor, row-major, rounded to nearest even where `type` is narrower.
    /// - Throws: `CheckpointError` naming the tensor, also if a packed one fails its checksum or if an element is NaN,
    ///   infinite or too large for `type`.
    public func elements(_ name: String, as type: WeightType) throws(CheckpointError) -> Storage<UInt8> {
        guard let fusion = fused.fusions[name] else { return try elements(ofPlain: name, as: type) }
        let shape = try shape(of: name)
        let whole = AlignedBuffer<UInt8>(uninitializedCount: shape.reduce(type.byteCount, *))
        var end = 0
        for part in fusion.parts {
            let bytes = try elements(ofPlain: part, as: type)
            withExtendedLifetime(bytes) { (whole.pointer + end).update(from: $0.pointer, count: $0.count) }
            end += bytes.count
        }
        guard fusion.isTransposed else { return whole.frozen() }
        return FusedTensors.transposed(whole.frozen(), rows: shape[1], columns: shape[0], byteCount: type.byteCount)
    }

    private func elements(ofPlain name: String, as type: WeightType) throws(CheckpointError) -> Storage<UInt8> {
        let bytes: Storage<UInt8>
        if let packed, let matrix = try packed.matrix(name) {
            try packed.check(name)
            bytes = Self.elements(of: matrix, as: type)
        } else {
            try packed?.check(name)
            bytes = try checkpoint.elements(name, as: type, pool: pool)
        }
        guard let index = type.firstNonFinite(in: UnsafeRawBufferPointer(bytes.buffer)) else { return bytes }
        throw CheckpointError(
            .notFinite, path: checkpoint.path, subject: "tensor \(name.quoted), element \(index)",
            expected: "a finite number that \(type) can hold", found: "another one")
    }

    /// The bytes of a tensor that is no weight.
    func bytes(_ name: String) throws(CheckpointError) -> Storage<UInt8> {
        try packed?.check(name)
        return try checkpoint.mappedBytes(name)
    }

    /// Tells the system that a tensor's mapped pages are not needed any more.
    public func release(_ name: String) {
        for part in fused.fusions[name]?.parts ?? [name] {
            for suffix in packed.map({ _ in PackedArrays.all }) ?? [""] { checkpoint.release(part + suffix) }
        }
    }

    /// The elements of a matrix in any format. What `type` cannot hold becomes infinite.
    private static func elements(of matrix: PackedMatrix, as type: WeightType) -> Storage<UInt8> {
        let stored: (type: WeightType, bytes: Storage<UInt8>)
        switch matrix {
        case .dense(let dense): stored = (weightType(dense.element), dense.bytes)
        case .tiledBitmap(let bitmap): stored = (weightType(bitmap.valueType), bitmap.dense().bytes)
        case .slicedEllpack(let ellpack): stored = (weightType(ellpack.valueType), ellpack.dense().bytes)
        case .tiledCSL(let csl): stored = (weightType(csl.valueType), Storage(csl.dense()).bytes)
        case .quantized(let quantized): stored = (.f32, quantized.dequantized().bytes)
        }
        if stored.type == type { return stored.bytes }
        let count = matrix.rows * matrix.columns
        let output = AlignedBuffer<UInt8>(uninitializedCount: count * type.byteCount)
        withExtendedLifetime(stored.bytes) {
            _ = type.decode(stored.type.storedEncoding, from: $0.pointer, count: count, to: output.pointer)
        }
        return output.frozen()
    }

    private static func weightType(_ type: ElementType) -> WeightType {
        guard let weightType = WeightType(rawValue: type.rawValue) else { preconditionFailure("\(type) is no weight") }
        return weightType
    }
}
