import OrderedCollections
import Tensors

/// No real file comes near these. They bound what a hostile one can make us allocate or loop over, beyond what the
/// file's own size does.
enum GGUFLimits {
    static let metadataCount = 1 << 20
    static let tensorCount = 1 << 20
    static let keyByteCount = (1 << 16) - 1
    static let stringByteCount = 1 << 24
    static let arrayCount = 1 << 24
    static let nameByteCount = 1024
    static let rank = 4
    static let alignment = 1 << 16
}

extension GGUFHeader {
    /// Parses the header in `bytes`, the whole file at `path`.
    init(parsing bytes: Storage<UInt8>, path: String) throws(CheckpointError) {
        var cursor = GGUFCursor(bytes: bytes, path: path)
        guard bytes.count > 0 else { throw cursor.damaged("the file", expected: "a GGUF file", found: "no bytes") }
        let magic = try cursor.take(4, of: "the magic number")
        guard magic.buffer.elementsEqual("GGUF".utf8) else {
            let text = String(decoding: magic.buffer, as: UTF8.self)
            throw cursor.damaged("the magic number", expected: "\"GGUF\"", found: text.quoted)
        }
        let version = try cursor.number("the version", as: UInt32.self)
        guard version == 2 || version == 3 else {
            let isBigEndian = version.byteSwapped == 2 || version.byteSwapped == 3
            throw CheckpointError(
                .unsupported, path: path, subject: "the version", expected: "2 or 3, little-endian",
                found: isBigEndian ? "a big-endian file" : "\(version)")
        }
        self.version = Int(version)
        let tensorCount = try cursor.count(limit: GGUFLimits.tensorCount, "the tensor count")
        let metadataCount = try cursor.count(limit: GGUFLimits.metadataCount, "the metadata count")
        for _ in 0..<metadataCount { try readMetadata(&cursor) }
        if let value = metadata["general.alignment"] { alignment = try GGUFHeader.alignment(value, cursor) }

        var infos: [TensorInfo] = []
        for _ in 0..<tensorCount { infos.append(try TensorInfo(&cursor)) }
        try place(infos, cursor)
    }

    private mutating func readMetadata(_ cursor: inout GGUFCursor) throws(CheckpointError) {
        let key = try cursor.string(limit: GGUFLimits.keyByteCount, "metadata key \(metadata.count)")
        let value = try GGUFValue(&cursor, key: key)
        guard metadata.updateValue(value, forKey: key) == nil else {
            throw cursor.damaged("the metadata", expected: "every key once", found: "\(key.quoted) twice")
        }
    }

    private static func alignment(_ value: GGUFValue, _ cursor: GGUFCursor) throws(CheckpointError) -> Int {
        guard let alignment = value.intValue, alignment > 0, alignment.nonzeroBitCount == 1,
            alignment <= GGUFLimits.alignment
        else {
            throw cursor.damaged(
                "general.alignment", expected: "a power of two up to \(GGUFLimits.alignment)", found: value.kindName)
        }
        return alignment
    }

    /// Turns offsets into ranges of the file and checks that they lie inside it and apart from each other.
    private mutating func place(_ infos: [TensorInfo], _ cursor: GGUFCursor) throws(CheckpointError) {
        let dataStart = (cursor.offset + alignment - 1) / alignment * alignment
        let dataByteCount = max(cursor.bytes.count - dataStart, 0)
        tensors.reserveCapacity(infos.count)
        for info in infos {
            let subject = "tensor \(info.name.quoted)"
            guard let offset = Int(exactly: info.offset), offset % alignment == 0 else {
                throw cursor.damaged(
                    subject, expected: "an offset that is a multiple of \(alignment)", found: "\(info.offset)")
            }
            guard offset <= dataByteCount, info.byteCount <= dataByteCount - offset else {
                throw cursor.damaged(
                    subject, expected: "\(info.byteCount) bytes at offset \(offset) of the data",
                    found: "a file that ends at offset \(dataByteCount)")
            }
            let start = dataStart + offset
            let tensor = GGUFTensor(
                name: info.name, dimensions: info.dimensions, type: info.type,
                byteRange: start..<start + info.byteCount)
            guard tensors.updateValue(tensor, forKey: info.name) == nil else {
                throw cursor.damaged("the tensors", expected: "every name once", found: "\(info.name.quoted) twice")
            }
        }
        var end = dataStart
        var previous = ""
        for tensor in tensors.values.sorted(by: { $0.byteRange.lowerBound < $1.byteRange.lowerBound }) {
            guard tensor.byteRange.lowerBound >= end else {
                throw cursor.damaged(
                    "tensor \(tensor.name.quoted)", expected: "bytes of its own",
                    found: "an overlap with \(previous.quoted)")
            }
            end = tensor.byteRange.upperBound
            previous = tensor.name
        }
    }
}

/// A tensor as the header lists it, with its own fields checked.
private struct TensorInfo {
    let name: String
    let dimensions: [Int]
    let type: GGUFTensorType
    let byteCount: Int
    let offset: UInt64

    init(_ cursor: inout GGUFCursor) throws(CheckpointError) {
        name = try cursor.string(limit: GGUFLimits.nameByteCount, "a tensor's name")
        let subject = "tensor \(name.quoted)"
        let rank = try cursor.number("the rank of \(subject)", as: UInt32.self)
        guard rank <= GGUFLimits.rank else {
            throw cursor.damaged(subject, expected: "at most \(GGUFLimits.rank) dimensions", found: "\(rank)")
        }
        var dimensions: [Int] = []
        for _ in 0..<rank {
            let dimension = try cursor.number("a dimension of \(subject)", as: UInt64.self)
            guard let count = Int(exactly: dimension), count > 0 else {
                throw cursor.damaged(subject, expected: "dimensions from 1 to 2^63 - 1", found: "\(dimension)")
            }
            dimensions.append(count)
        }
        self.dimensions = dimensions
        let rawType = try cursor.number("the type of \(subject)", as: UInt32.self)
        guard let type = GGUFTensorType(rawValue: rawType) else {
            throw CheckpointError(
                .unsupported, path: cursor.path, subject: subject, expected: "a known tensor type",
                found: "type number \(rawType)")
        }
        self.type = type
        offset = try cursor.number("the offset of \(subject)", as: UInt64.self)
        let shape = dimensions.map(String.init).joined(separator: " x ")
        guard let elementCount = overflowSafeProduct(dimensions) else {
            throw cursor.damaged(subject, expected: "fewer than 2^63 elements", found: "\(shape) elements")
        }
        let encoding = type.encoding
        guard (dimensions.first ?? 1) % encoding.elementsPerBlock == 0,
            let byteCount = encoding.byteCount(elementCount: elementCount)
        else {
            throw cursor.damaged(
                subject, expected: "rows of whole \(type) blocks of \(encoding.elementsPerBlock) elements",
                found: "\(shape) elements")
        }
        self.byteCount = byteCount
    }
}

extension GGUFValue {
    /// Reads a value's type and the value.
    fileprivate init(_ cursor: inout GGUFCursor, key: String) throws(CheckpointError) {
        let subject = "metadata \(key.quoted)"
        switch try GGUFValueType(&cursor, subject) {
        case .uint8: self = .uint8(try cursor.number(subject))
        case .int8: self = .int8(try cursor.number(subject))
        case .uint16: self = .uint16(try cursor.number(subject))
        case .int16: self = .int16(try cursor.number(subject))
        case .uint32: self = .uint32(try cursor.number(subject))
        case .int32: self = .int32(try cursor.number(subject))
        case .uint64: self = .uint64(try cursor.number(subject))
        case .int64: self = .int64(try cursor.number(subject))
        case .float32: self = .float32(Float(bitPattern: try cursor.number(subject)))
        case .float64: self = .float64(Double(bitPattern: try cursor.number(subject)))
        case .bool:
            let byte = try cursor.number(subject, as: UInt8.self)
            guard byte <= 1 else { throw cursor.damaged(subject, expected: "0 or 1 for a boolean", found: "\(byte)") }
            self = .bool(byte == 1)
        case .string: self = .string(try cursor.string(limit: GGUFLimits.stringByteCount, subject))
        case .array: self = .array(try GGUFArray(&cursor, key: key))
        }
    }
}

extension GGUFValueType {
    fileprivate init(_ cursor: inout GGUFCursor, _ subject: String) throws(CheckpointError) {
        let raw = try cursor.number("the type of \(subject)", as: UInt32.self)
        guard let type = GGUFValueType(rawValue: raw) else {
            throw cursor.damaged(subject, expected: "a type number up to 12", found: "\(raw)")
        }
        self = type
    }
}

extension GGUFArray {
    /// Steps over an array's elements, checking that they lie inside the file.
    fileprivate init(_ cursor: inout GGUFCursor, key: String) throws(CheckpointError) {
        let subject = "metadata \(key.quoted)"
        let type = try GGUFValueType(&cursor, subject)
        let count = try cursor.count(limit: GGUFLimits.arrayCount, "the element count of \(subject)")
        let bytes: Storage<UInt8>
        switch type {
        case .array:
            throw CheckpointError(
                .unsupported, path: cursor.path, subject: subject, expected: "an array of plain values",
                found: "an array of arrays")
        case .string:
            let start = cursor.offset
            for index in 0..<count {
                let length = try cursor.count(
                    limit: GGUFLimits.stringByteCount, "the length of element \(index) of \(subject)")
                _ = try cursor.take(length, of: "element \(index) of \(subject)")
            }
            bytes = cursor.bytes[start..<cursor.offset]
        default:
            bytes = try cursor.take(count * type.byteCount!, of: subject)  // only strings and arrays vary in size
        }
        self.init(elementType: type, count: count, bytes: bytes, key: key, path: cursor.path)
    }
}
