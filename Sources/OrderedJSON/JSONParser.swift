import OrderedCollections

/// Why a text is not the JSON we accept, and the byte at which that showed.
public struct JSONError: Error, Equatable, CustomStringConvertible {
    public let byteOffset: Int
    public let reason: String

    public var description: String { "invalid JSON at byte \(byteOffset): \(reason)" }
}

extension JSON {
    /// Nesting beyond this is refused: no real file comes near it, and a recursive parser must not leave its stack.
    public static let maximumDepth = 128

    /// Parses RFC 8259 JSON from UTF-8.
    ///
    /// Stricter than the RFC where leniency hides damage: duplicated keys, invalid UTF-8, lone surrogate escapes,
    /// nesting deeper than ``maximumDepth`` and bytes after the value are refused.
    /// - Parameter listedKey: an object behind this key is read as an array of its keys and values in turns, duplicates
    ///   included. Its keys are data then, such as a vocabulary's tokens: keys of an object are the same if they look
    ///   the same, however their accents are written, and those are not.
    /// - Complexity: O(bytes) time and memory.
    public init(parsing bytes: UnsafeRawBufferPointer, listing listedKey: String? = nil) throws(JSONError) {
        var parser = JSONParser(bytes: bytes, listedKey: listedKey)
        self = try parser.document()
    }

    public init(parsing bytes: [UInt8], listing listedKey: String? = nil) throws(JSONError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<JSON, JSONError> in
            do throws(JSONError) { return .success(try JSON(parsing: buffer, listing: listedKey)) } catch {
                return .failure(error)
            }
        }
        self = try result.get()
    }

    public init(parsing text: String, listing listedKey: String? = nil) throws(JSONError) {
        try self.init(parsing: Array(text.utf8), listing: listedKey)
    }
}

/// A recursive-descent parser; `position` always stays within `0...bytes.count`.
private struct JSONParser {
    let bytes: UnsafeRawBufferPointer
    let listedKey: String?
    var position = 0

    init(bytes: UnsafeRawBufferPointer, listedKey: String?) {
        self.bytes = bytes
        self.listedKey = listedKey
    }

    func failure(_ reason: String, at offset: Int? = nil) -> JSONError {
        JSONError(byteOffset: offset ?? position, reason: reason)
    }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipWhitespace() {
        while let byte = current, byte == 0x20 || byte == 0x0A || byte == 0x0D || byte == 0x09 { position += 1 }
    }

    mutating func document() throws(JSONError) -> JSON {
        let value = try self.value(depth: 0)
        skipWhitespace()
        guard position == bytes.count else { throw failure("unexpected text after the value") }
        return value
    }

    mutating func value(depth: Int) throws(JSONError) -> JSON {
        guard depth < JSON.maximumDepth else { throw failure("nested deeper than \(JSON.maximumDepth) levels") }
        skipWhitespace()
        guard let byte = current else { throw failure("the text ends where a value is expected") }
        switch byte {
        case UInt8(ascii: "{"): return try object(depth: depth)
        case UInt8(ascii: "["): return try array(depth: depth)
        case UInt8(ascii: "\""): return .string(try string())
        case UInt8(ascii: "t"): return try literal("true", .bool(true))
        case UInt8(ascii: "f"): return try literal("false", .bool(false))
        case UInt8(ascii: "n"): return try literal("null", .null)
        default: return try number()
        }
    }

    mutating func literal(_ word: StaticString, _ value: JSON) throws(JSONError) -> JSON {
        let expected = UnsafeRawBufferPointer(start: word.utf8Start, count: word.utf8CodeUnitCount)
        guard position + expected.count <= bytes.count,
            bytes[position..<position + expected.count].elementsEqual(expected)
        else { throw failure("unknown word where a value is expected") }
        position += expected.count
        return value
    }

    mutating func object(depth: Int) throws(JSONError) -> JSON {
        var members = OrderedDictionary<String, JSON>()
        try forEachMember { (parser, key, keyOffset) throws(JSONError) in
            let member: JSON
            if key == parser.listedKey, parser.current == UInt8(ascii: "{") {
                member = try parser.list(depth: depth + 1)
            } else {
                member = try parser.value(depth: depth + 1)
            }
            guard members.updateValue(member, forKey: key) == nil else {
                throw parser.failure("the key \"\(key.prefix(200))\" occurs twice", at: keyOffset)
            }
        }
        return .object(members)
    }

    /// An object as an array of its keys and values.
    private mutating func list(depth: Int) throws(JSONError) -> JSON {
        guard depth < JSON.maximumDepth else { throw failure("nested deeper than \(JSON.maximumDepth) levels") }
        var list: [JSON] = []
        try forEachMember { (parser, key, _) throws(JSONError) in
            list.append(.string(key))
            list.append(try parser.value(depth: depth + 1))
        }
        return .array(list)
    }

    /// Reads an object at its opening brace.
    /// - Parameter read: gets this parser where a value starts, and the key.
    private mutating func forEachMember(
        _ read: (inout JSONParser, _ key: String, _ keyOffset: Int) throws(JSONError) -> Void
    ) throws(JSONError) {
        position += 1
        skipWhitespace()
        if current == UInt8(ascii: "}") {
            position += 1
            return
        }
        while true {
            skipWhitespace()
            let keyOffset = position
            guard current == UInt8(ascii: "\"") else { throw failure("expected a key in quotation marks") }
            let key = try string()
            skipWhitespace()
            guard current == UInt8(ascii: ":") else { throw failure("expected ':' after a key") }
            position += 1
            skipWhitespace()
            try read(&self, key, keyOffset)
            skipWhitespace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "}"):
                position += 1
                return
            default: throw failure("expected ',' or '}' in an object")
            }
        }
    }

    mutating func array(depth: Int) throws(JSONError) -> JSON {
        position += 1
        var values: [JSON] = []
        skipWhitespace()
        if current == UInt8(ascii: "]") {
            position += 1
            return .array(values)
        }
        while true {
            values.append(try value(depth: depth + 1))
            skipWhitespace()
            switch current {
            case UInt8(ascii: ","): position += 1
            case UInt8(ascii: "]"):
                position += 1
                return .array(values)
            default: throw failure("expected ',' or ']' in an array")
            }
        }
    }

    /// A string at its opening quotation mark. Runs without escapes are validated and copied whole.
    mutating func string() throws(JSONError) -> String {
        let start = position
        position += 1
        var text = ""
        var runStart = position
        while true {
            guard let byte = current else { throw failure("a string has no end", at: start) }
            switch byte {
            case UInt8(ascii: "\""):
                text += try run(from: runStart)
                position += 1
                return text
            case UInt8(ascii: "\\"):
                text += try run(from: runStart)
                position += 1
                text.unicodeScalars.append(try escape())
                runStart = position
            case 0..<0x20: throw failure("a control character inside a string")
            default: position += 1
            }
        }
    }

    func run(from start: Int) throws(JSONError) -> String {
        guard start < position else { return "" }
        guard let text = String(validating: bytes[start..<position], as: UTF8.self) else {
            throw failure("a string is not valid UTF-8", at: start)
        }
        return text
    }

    mutating func escape() throws(JSONError) -> Unicode.Scalar {
        guard let byte = current else { throw failure("a string ends inside an escape") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return Unicode.Scalar(byte)
        case UInt8(ascii: "b"): return "\u{08}"
        case UInt8(ascii: "f"): return "\u{0C}"
        case UInt8(ascii: "n"): return "\n"
        case UInt8(ascii: "r"): return "\r"
        case UInt8(ascii: "t"): return "\t"
        case UInt8(ascii: "u"): return try unicodeEscape()
        default: throw failure("an unknown escape in a string", at: position - 1)
        }
    }

    mutating func unicodeEscape() throws(JSONError) -> Unicode.Scalar {
        let start = position
        let first = try hexadecimalUnit()
        if let scalar = Unicode.Scalar(UInt32(first)) { return scalar }
        guard UTF16.isLeadSurrogate(first), current == UInt8(ascii: "\\") else {
            throw failure("a lone surrogate in a string", at: start)
        }
        position += 1
        guard current == UInt8(ascii: "u") else { throw failure("a lone surrogate in a string", at: start) }
        position += 1
        let second = try hexadecimalUnit()
        guard UTF16.isTrailSurrogate(second) else { throw failure("a lone surrogate in a string", at: start) }
        let code = 0x10000 + ((UInt32(first) & 0x3FF) << 10 | UInt32(second) & 0x3FF)
        return Unicode.Scalar(code)!  // a valid pair is always a scalar
    }

    mutating func hexadecimalUnit() throws(JSONError) -> UInt16 {
        var unit: UInt16 = 0
        for _ in 0..<4 {
            guard let byte = current, let digit = Character(Unicode.Scalar(byte)).hexDigitValue else {
                throw failure("expected four hexadecimal digits")
            }
            unit = unit << 4 | UInt16(digit)
            position += 1
        }
        return unit
    }

    mutating func number() throws(JSONError) -> JSON {
        let start = position
        func digits(_ parser: inout JSONParser) -> Int {
            let first = parser.position
            while let byte = parser.current, (0x30...0x39).contains(byte) { parser.position += 1 }
            return parser.position - first
        }
        if current == UInt8(ascii: "-") { position += 1 }
        let leadingZero = current == UInt8(ascii: "0")
        let integerDigits = digits(&self)
        guard integerDigits > 0 else { throw failure("expected a value", at: start) }
        guard !leadingZero || integerDigits == 1 else { throw failure("a number with a leading zero", at: start) }
        var isInteger = true
        if current == UInt8(ascii: ".") {
            isInteger = false
            position += 1
            guard digits(&self) > 0 else { throw failure("a number without digits after its point", at: start) }
        }
        if current == UInt8(ascii: "e") || current == UInt8(ascii: "E") {
            isInteger = false
            position += 1
            if current == UInt8(ascii: "+") || current == UInt8(ascii: "-") { position += 1 }
            guard digits(&self) > 0 else { throw failure("a number without digits in its exponent", at: start) }
        }
        let text = String(decoding: bytes[start..<position], as: UTF8.self)
        if isInteger, let value = Int(text) { return .integer(value) }
        guard let value = Double(text), value.isFinite else { throw failure("a number out of range", at: start) }
        return .number(value)
    }
}
