/// Metadata of a GGUF file under construction, in the order of its addition.
struct GGUFMetadataWriter {
    private(set) var bytes: [UInt8] = []
    private(set) var count = 0

    mutating func add(_ key: String, _ value: String) {
        begin(key, .string)
        append(text: value)
    }

    mutating func add(_ key: String, _ value: UInt32) {
        begin(key, .uint32)
        append(value)
    }

    mutating func add(_ key: String, _ value: Float) {
        begin(key, .float32)
        append(value.bitPattern)
    }

    mutating func add(_ key: String, _ value: Bool) {
        begin(key, .bool)
        append(UInt8(value ? 1 : 0))
    }

    mutating func add(_ key: String, _ values: [String]) {
        begin(key, .array)
        append(GGUFValueType.string.rawValue)
        append(UInt64(values.count))
        for value in values { append(text: value) }
    }

    mutating func add(_ key: String, _ values: [Int32]) {
        begin(key, .array)
        append(GGUFValueType.int32.rawValue)
        append(UInt64(values.count))
        for value in values { append(value) }
    }

    mutating func add(_ key: String, _ values: [Float]) {
        begin(key, .array)
        append(GGUFValueType.float32.rawValue)
        append(UInt64(values.count))
        for value in values { append(value.bitPattern) }
    }

    private mutating func begin(_ key: String, _ type: GGUFValueType) {
        append(text: key)
        append(type.rawValue)
        count += 1
    }

    private mutating func append(text: String) { bytes.append(text: text) }
    private mutating func append<Number: FixedWidthInteger>(_ number: Number) { bytes.append(number: number) }
}

extension [UInt8] {
    /// Appends a number as GGUF has it: little-endian.
    mutating func append<Number: FixedWidthInteger>(number: Number) {
        Swift.withUnsafeBytes(of: number.littleEndian) { append(contentsOf: $0) }
    }

    /// Appends a text as GGUF has it: its length in bytes as 64 bits, then UTF-8.
    mutating func append(text: String) {
        append(number: UInt64(text.utf8.count))
        append(contentsOf: text.utf8)
    }
}
