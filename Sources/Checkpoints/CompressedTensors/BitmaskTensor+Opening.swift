import OrderedCollections
import Tensors

/// The names of the tensors that a sparse tensor is stored as, behind its own.
enum BitmaskParts {
    static let shape = ".shape"
    static let compressed = ".compressed"
    static let bitmask = ".bitmask"
    static let rowOffsets = ".row_offsets"

    /// The tensor that parts of this stem belong to: versions up to 0.8 wrote `X.weight.bitmask` and `X.bias.bitmask`,
    /// later ones `X.bitmask` for `X.weight`.
    static func tensorName(stem: String) -> String {
        stem.hasSuffix(".weight") || stem.hasSuffix(".bias") ? stem : stem + ".weight"
    }
}

extension BitmaskLayout {
    /// Joins the tensors that sparse matrices are stored as: `X.weight` takes the place of the first of its parts.
    /// - Throws: `CheckpointError` naming the part that is missing or does not fit the others.
    func joined(
        _ stored: OrderedDictionary<String, StoredTensor>
    ) throws(CheckpointError) -> OrderedDictionary<String, StoredTensor> {
        var stems: [String: String] = [:]  // of the parts' names
        for name in stored.keys {
            for suffix in [BitmaskParts.bitmask, BitmaskParts.compressed] where name.hasSuffix(suffix) {
                let stem = String(name.dropLast(suffix.count))
                for part in [
                    BitmaskParts.shape, BitmaskParts.compressed, BitmaskParts.bitmask, BitmaskParts.rowOffsets,
                ] { stems[stem + part] = stem }
            }
        }
        var joined: OrderedDictionary<String, StoredTensor> = [:]
        var done: Set<String> = []
        for (name, tensor) in stored {
            let stem = stems[name]
            if let stem, !done.insert(stem).inserted { continue }
            let entry =
                try stem.map { (stem) throws(CheckpointError) in try self.tensor(stem: stem, in: stored) }
                ?? tensor
            if let other = joined.updateValue(entry, forKey: entry.description.name) {
                throw CheckpointError(
                    .damaged, path: entry.description.path, subject: "tensor \(entry.description.name.quoted)",
                    expected: "it once", found: "it in \(other.description.path) too")
            }
        }
        return joined
    }

    private func tensor(
        stem: String, in stored: OrderedDictionary<String, StoredTensor>
    ) throws(CheckpointError) -> StoredTensor {
        let name = BitmaskParts.tensorName(stem: stem)
        func part(_ suffix: String) throws(CheckpointError) -> StoredTensor {
            guard let tensor = stored[stem + suffix] else {
                let path = (stored[stem + BitmaskParts.bitmask] ?? stored[stem + BitmaskParts.compressed])?.description
                    .path
                throw CheckpointError(
                    .missing, path: path ?? "", subject: "tensor \(name.quoted)",
                    expected: "its part \((stem + suffix).quoted)", found: "none of that name")
            }
            return tensor
        }
        func damaged(_ part: StoredTensor, expected: String) -> CheckpointError {
            CheckpointError(
                .damaged, path: part.description.path, subject: "tensor \(part.description.name.quoted)",
                expected: expected, found: "\(part.description.storedType) \(part.description.shape)")
        }
        let shape = try Self.shape(try part(BitmaskParts.shape), damaged)
        let (rows, columns) = (shape.count == 1 ? 1 : shape[0], shape[shape.count - 1])
        let maskBytes = (columns + 7) / 8
        let bitmask = try part(BitmaskParts.bitmask)
        guard bitmask.description.encoding.elementType == .u8,
            bitmask.description.shape == (shape.count == 1 ? [maskBytes] : [rows, maskBytes])
        else { throw damaged(bitmask, expected: "a bit for each of \(shape) elements, as U8") }
        let values = try part(BitmaskParts.compressed)
        guard let type = values.description.encoding.elementType.flatMap({ WeightType(rawValue: $0.rawValue) }) else {
            throw CheckpointError(
                .unsupported, path: values.description.path, subject: "tensor \(values.description.name.quoted)",
                expected: "values of F16, BF16 or F32", found: values.description.storedType)
        }
        var offsets: StoredTensor?
        switch self {
        case .unstructured:
            guard values.description.shape.count == 1 else { throw damaged(values, expected: "values in a row") }
            let found = try part(BitmaskParts.rowOffsets)
            // Of a vector it is a scalar.
            guard found.description.encoding.elementType == .i64,
                found.description.shape == [rows] || (shape.count == 1 && found.description.shape.isEmpty)
            else { throw damaged(found, expected: "\(rows) offsets as I64") }
            offsets = found
        case .twoOfFour:
            guard shape.count == 2, columns % 4 == 0, values.description.shape == [rows, columns / 2] else {
                throw damaged(values, expected: "half of the values of \(shape), whose rows are whole fours")
            }
        }
        let matrix = BitmaskTensor(
            layout: self, isVector: shape.count == 1, rows: rows, columns: columns, valueType: type,
            bitmask: bitmask.part, values: values.part,
            rowOffsets: offsets?.part)
        let description = TensorDescription(
            name: name, shape: shape,
            encoding: StoredEncoding(
                "\(values.description.storedType) bitmask", bytesPerBlock: type.byteCount,
                elementType: type.elementType,
                decoder: type.storedEncoding),
            byteCount: matrix.byteCount, path: values.description.path)
        return StoredTensor(
            description: description, file: values.file, byteRange: values.byteRange, interleavedHeadSize: nil,
            bitmask: matrix)
    }

    /// The shape that a shape tensor says: of a matrix, or of a vector.
    private static func shape(
        _ tensor: StoredTensor, _ damaged: (StoredTensor, String) -> CheckpointError
    ) throws(CheckpointError) -> [Int] {
        let count = tensor.description.elementCount
        guard tensor.description.encoding.elementType == .i64, 1...2 ~= count, 1...2 ~= tensor.description.shape.count
        else { throw damaged(tensor, "the shape of a vector or a matrix as I64") }
        let address = UnsafeRawPointer(tensor.bytes.pointer)
        let shape = (0..<count).map { index in
            Int(Int64(littleEndian: address.loadUnaligned(fromByteOffset: 8 * index, as: Int64.self)))
        }
        guard shape.allSatisfy({ 1...Int(Int32.max) ~= $0 }) else {
            throw CheckpointError(
                .damaged, path: tensor.description.path, subject: "tensor \(tensor.description.name.quoted)",
                expected: "sizes from 1 to \(Int32.max)", found: "\(shape)")
        }
        return shape
    }
}

extension StoredTensor {
    /// Its bytes as a part of another tensor.
    fileprivate var part: BitmaskTensor.Part { BitmaskTensor.Part(file: file, byteRange: byteRange) }
}
