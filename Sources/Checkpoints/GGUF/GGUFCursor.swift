import Tensors

/// Reads little-endian values from a GGUF header one after another and never past its end.
struct GGUFCursor {
    let bytes: Storage<UInt8>
    let path: String
    private(set) var offset = 0

    init(bytes: Storage<UInt8>, path: String) {
        self.bytes = bytes
        self.path = path
    }

    var remaining: Int { bytes.count - offset }

    func damaged(_ subject: String, expected: String, found: String) -> CheckpointError {
        CheckpointError(.damaged, path: path, subject: subject, expected: expected, found: found)
    }

    /// The next `count` bytes.
    mutating func take(_ count: Int, of subject: @autoclosure () -> String) throws(CheckpointError) -> Storage<UInt8> {
        precondition(count >= 0)
        guard count <= remaining else {
            throw damaged(
                subject(), expected: "\(count) bytes at byte \(offset)",
                found: "only \(remaining) before the file's end")
        }
        defer { offset += count }
        return bytes[offset..<offset + count]
    }

    mutating func number<Number: FixedWidthInteger & BitwiseCopyable>(
        _ subject: @autoclosure () -> String, as type: Number.Type = Number.self
    ) throws(CheckpointError) -> Number {
        let field = try take(MemoryLayout<Number>.size, of: subject())
        return Number(littleEndian: UnsafeRawPointer(field.pointer).loadUnaligned(as: Number.self))
    }

    /// An unsigned 64-bit number that must not exceed `limit`.
    mutating func count(limit: Int, _ subject: @autoclosure () -> String) throws(CheckpointError) -> Int {
        let value = try number(subject(), as: UInt64.self)
        guard let count = Int(exactly: value), count <= limit else {
            throw damaged(subject(), expected: "at most \(limit)", found: "\(value)")
        }
        return count
    }

    /// A string: its length in bytes as 64 bits, then UTF-8.
    mutating func string(limit: Int, _ subject: @autoclosure () -> String) throws(CheckpointError) -> String {
        let length = try count(limit: limit, "the length of \(subject())")
        let text = try take(length, of: subject())
        guard let string = String(validating: text.buffer, as: UTF8.self) else {
            throw damaged(subject(), expected: "UTF-8", found: "invalid bytes before byte \(offset)")
        }
        return string
    }
}
