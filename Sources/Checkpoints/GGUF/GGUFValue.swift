import Tensors

/// The types of GGUF metadata values; raw values as in the file.
public enum GGUFValueType: UInt32, Sendable {
    case uint8 = 0
    case int8, uint16, int16, uint32, int32, float32, bool, string, array, uint64, int64, float64

    /// Bytes of one value; nil where that varies.
    var byteCount: Int? {
        switch self {
        case .uint8, .int8, .bool: 1
        case .uint16, .int16: 2
        case .uint32, .int32, .float32: 4
        case .uint64, .int64, .float64: 8
        case .string, .array: nil
        }
    }
}

/// One value of a GGUF file's metadata.
public enum GGUFValue: Sendable {
    case uint8(UInt8)
    case int8(Int8)
    case uint16(UInt16)
    case int16(Int16)
    case uint32(UInt32)
    case int32(Int32)
    case uint64(UInt64)
    case int64(Int64)
    case float32(Float)
    case float64(Double)
    case bool(Bool)
    case string(String)
    case array(GGUFArray)

    /// The value of any integer type; nil for others, and where it exceeds `Int`.
    public var intValue: Int? {
        switch self {
        case .uint8(let value): Int(value)
        case .int8(let value): Int(value)
        case .uint16(let value): Int(value)
        case .int16(let value): Int(value)
        case .uint32(let value): Int(value)
        case .int32(let value): Int(value)
        case .uint64(let value): Int(exactly: value)
        case .int64(let value): Int(value)
        default: nil
        }
    }

    /// The value of either floating-point type. A Float32 becomes the number with the same shortest decimal form: 1e-5
    /// stays 1e-5 rather than 9.99999974e-6.
    public var doubleValue: Double? {
        switch self {
        case .float32(let value): value.isFinite ? Double("\(value)") : Double(value)
        case .float64(let value): value
        default: nil
        }
    }

    public var boolValue: Bool? {
        if case .bool(let value) = self { value } else { nil }
    }

    public var stringValue: String? {
        if case .string(let value) = self { value } else { nil }
    }

    public var arrayValue: GGUFArray? {
        if case .array(let value) = self { value } else { nil }
    }

    /// The word an error message uses for this kind of value.
    var kindName: String {
        switch self {
        case .float32, .float64: "a floating-point number"
        case .bool: "a boolean"
        case .string: "a string"
        case .array: "an array"
        default: "the integer \(intValue.map(String.init) ?? "beyond 63 bits")"
        }
    }
}

/// An array in a GGUF file's metadata, left where it lies in the file: a vocabulary has tens of thousands of strings.
public struct GGUFArray: Sendable {
    public let elementType: GGUFValueType
    public let count: Int
    /// The elements as stored; whoever makes an array has checked that they fill these bytes exactly.
    let bytes: Storage<UInt8>
    let key: String
    let path: String

    /// The elements of an array of any integer type; nil for other arrays, and where one exceeds `Int`.
    /// - Complexity: O(count).
    public func integers() -> [Int]? {
        switch elementType {
        case .uint8: numbers(UInt8.self).map(Int.init)
        case .int8: numbers(Int8.self).map(Int.init)
        case .uint16: numbers(UInt16.self).map(Int.init)
        case .int16: numbers(Int16.self).map(Int.init)
        case .uint32: numbers(UInt32.self).map(Int.init)
        case .int32: numbers(Int32.self).map(Int.init)
        case .int64: numbers(Int64.self).map(Int.init)
        case .uint64:
            if case let values = numbers(UInt64.self), values.allSatisfy({ $0 <= Int.max }) {
                values.map(Int.init)
            } else {
                nil
            }
        default: nil
        }
    }

    /// The elements of an array of Float32; nil for other arrays.
    /// - Complexity: O(count).
    public func floats() -> [Float]? {
        elementType == .float32 ? numbers(UInt32.self).map(Float.init(bitPattern:)) : nil
    }

    /// The elements of an array of strings; nil for other arrays.
    /// - Throws: `CheckpointError` for the first string that is not UTF-8.
    /// - Complexity: O(bytes).
    public func strings() throws(CheckpointError) -> [String]? {
        guard elementType == .string else { return nil }
        var cursor = GGUFCursor(bytes: bytes, path: path)
        var strings: [String] = []
        strings.reserveCapacity(count)
        for index in 0..<count {
            strings.append(try cursor.string(limit: bytes.count, "element \(index) of \(key.quoted)"))
        }
        return strings
    }

    private func numbers<Number: FixedWidthInteger & BitwiseCopyable>(_ type: Number.Type) -> [Number] {
        let address = UnsafeRawPointer(bytes.pointer)
        return (0..<count).map { index in
            let stored = address.loadUnaligned(fromByteOffset: index * MemoryLayout<Number>.size, as: Number.self)
            return Number(littleEndian: stored)
        }
    }
}
