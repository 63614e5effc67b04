@testable import Checkpoints

/// Writes GGUF bytes, right or wrong as a test wants them.
struct GGUFBuilder {
    var magic = Array("GGUF".utf8)
    var version: UInt32 = 3
    var alignment = 32
    /// Counts that differ from what follows, to lie about it.
    var tensorCount: UInt64?
    var metadataCount: UInt64?
    private var metadata: [[UInt8]] = []
    private var tensors: [[UInt8]] = []
    private var data: [UInt8] = []

    static func bytes<Number: FixedWidthInteger>(_ value: Number) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }

    static func bytes(_ text: String) -> [UInt8] { bytes(UInt64(text.utf8.count)) + Array(text.utf8) }

    mutating func add(_ key: String, type: UInt32, _ value: [UInt8]) {
        metadata.append(Self.bytes(key) + Self.bytes(type) + value)
    }

    mutating func add(_ key: String, _ value: String) { add(key, type: 8, Self.bytes(value)) }
    mutating func add(_ key: String, _ value: UInt32) { add(key, type: 4, Self.bytes(value)) }
    mutating func add(_ key: String, _ value: Float) { add(key, type: 6, Self.bytes(value.bitPattern)) }
    mutating func add(_ key: String, _ value: Bool) { add(key, type: 7, [value ? 1 : 0]) }

    mutating func add(_ key: String, _ values: [String]) {
        add(key, type: 9, Self.bytes(UInt32(8)) + Self.bytes(UInt64(values.count)) + values.flatMap { Self.bytes($0) })
    }

    mutating func add(_ key: String, _ values: [Int32]) {
        add(key, type: 9, Self.bytes(UInt32(5)) + Self.bytes(UInt64(values.count)) + values.flatMap { Self.bytes($0) })
    }

    /// Adds a tensor; `offset` replaces the right one.
    mutating func addTensor(
        _ name: String, _ dimensions: [UInt64], type: UInt32, bytes: [UInt8], offset: UInt64? = nil
    ) {
        while data.count % alignment != 0 { data.append(0) }
        tensors.append(
            Self.bytes(name) + Self.bytes(UInt32(dimensions.count)) + dimensions.flatMap { Self.bytes($0) }
                + Self.bytes(type) + Self.bytes(offset ?? UInt64(data.count)))
        data += bytes
    }

    /// Adds an F32 tensor whose elements come row by row; `dimensions` are GGUF's, fastest first.
    mutating func addTensor(_ name: String, _ dimensions: [UInt64], floats: [Float]) {
        addTensor(name, dimensions, type: 0, bytes: floats.flatMap { Self.bytes($0.bitPattern) })
    }

    var header: [UInt8] {
        magic + Self.bytes(version) + Self.bytes(tensorCount ?? UInt64(tensors.count))
            + Self.bytes(metadataCount ?? UInt64(metadata.count)) + metadata.joined() + tensors.joined()
    }

    var file: [UInt8] {
        var bytes = header
        while bytes.count % alignment != 0 { bytes.append(0) }
        return bytes + data
    }
}

extension GGUFBuilder {
    /// The metadata of a model of the given sizes, without tensors; of Llama or an architecture with the same keys.
    static func llama(
        architecture: String = "llama", width: UInt32 = 64, heads: UInt32 = 2, keyValueHeads: UInt32 = 1,
        layers: UInt32 = 1,
        except: Set<String> = []
    ) -> GGUFBuilder {
        var builder = GGUFBuilder()
        func add(_ key: String, _ body: (inout GGUFBuilder) -> Void) {
            if !except.contains(key) { body(&builder) }
        }
        add("general.architecture") { $0.add("general.architecture", architecture) }
        let prefix = architecture + "."
        let numbers: [(String, Float)] = [("rope.freq_base", 100_000), ("attention.layer_norm_rms_epsilon", 1e-5)]
        for (key, value) in numbers { add(prefix + key) { $0.add(prefix + key, value) } }
        let sizes: [(String, UInt32)] = [
            ("block_count", layers), ("context_length", 2048), ("embedding_length", width),
            ("feed_forward_length", 96), ("attention.head_count", heads), ("attention.head_count_kv", keyValueHeads),
            ("vocab_size", 5),
        ]
        for (key, value) in sizes { add(prefix + key) { $0.add(prefix + key, value) } }
        return builder
    }
}
