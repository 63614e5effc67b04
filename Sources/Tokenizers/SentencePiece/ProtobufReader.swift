/// Reads the fields of one Protocol Buffers message, without knowing its schema.
///
/// Every length is checked before it is used. Groups, which no message since 2008 has, are refused.
/// Source: Protocol Buffers documentation, Encoding.
struct ProtobufReader {
    enum Value {
        /// Numbers, booleans and cases.
        case integer(UInt64)
        /// Four bytes, a float as a rule.
        case fixed32(UInt32)
        case fixed64(UInt64)
        /// Texts, bytes and messages.
        case bytes(ArraySlice<UInt8>)
    }

    private let bytes: ArraySlice<UInt8>
    private let name: String
    private var position: Int

    /// - Parameter name: of the message, for errors.
    init(_ bytes: ArraySlice<UInt8>, name: String) {
        self.bytes = bytes
        self.name = name
        position = bytes.startIndex
    }

    /// The next field, or nil at the end of the message.
    mutating func next() throws(TokenizerError) -> (number: Int, value: Value)? {
        guard position < bytes.endIndex else { return nil }
        let tag = try integer()
        let number = tag >> 3
        guard (1...0x1FFF_FFFF).contains(number) else { throw damaged("a field with the number \(number)") }
        switch tag & 7 {
        case 0: return (Int(number), .integer(try integer()))
        case 1: return (Int(number), .fixed64(fixed(try take(8))))
        case 2:
            let count = try integer()
            guard count <= UInt64(bytes.endIndex - position) else {
                throw damaged("a field of \(count) bytes where \(bytes.endIndex - position) are left")
            }
            return (Int(number), .bytes(try take(Int(count))))
        case 5: return (Int(number), .fixed32(UInt32(fixed(try take(4)))))
        default: throw damaged("a field of the unknown wire type \(tag & 7)")
        }
    }

    private func damaged(_ what: String) -> TokenizerError {
        TokenizerError("\(name) has \(what), at byte \(position)")
    }

    private mutating func take(_ count: Int) throws(TokenizerError) -> ArraySlice<UInt8> {
        guard count <= bytes.endIndex - position else { throw damaged("a field that goes on behind its end") }
        defer { position += count }
        return bytes[position..<position + count]
    }

    private func fixed(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// Seven bits a byte, the lowest first; the last byte has no high bit.
    private mutating func integer() throws(TokenizerError) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            let byte = try take(1).first!
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
        }
        throw damaged("a number of more than ten bytes")
    }
}
