/// What the pre-tokenizers' patterns tell apart: `\p{L}`, `\p{N}`, `\s` and everything else.
///
/// Letters and numbers are those of Unicode 16, which the patterns' usual engine knows: ids must not change when the
/// standard library learns of new characters.
enum ScalarClass {
    case letter
    case number
    /// A number newer than Unicode 16: the patterns do not know it, but splitting numbers into digits does.
    case recentNumber
    case space
    case other

    /// - Complexity: O(1); characters below U+0080 need no look-up.
    @inline(__always)
    init(_ value: UInt32) {
        guard value >= 0x80 else {
            switch UInt8(truncatingIfNeeded: value) {
            case 0x61...0x7A, 0x41...0x5A: self = .letter
            case 0x30...0x39: self = .number
            case 0x20, 0x09...0x0D: self = .space
            default: self = .other
            }
            return
        }
        self.init(beyondASCII: Unicode.Scalar(value)!)
    }

    private init(beyondASCII scalar: Unicode.Scalar) {
        let properties = scalar.properties
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter:
            self = ScalarClass.isRecent(scalar) ? .other : .letter
        case .decimalNumber, .letterNumber, .otherNumber:
            self = ScalarClass.isRecent(scalar) ? .recentNumber : .number
        default:
            self = properties.isWhitespace ? .space : .other
        }
    }

    private static func isRecent(_ scalar: Unicode.Scalar) -> Bool {
        // The blocks most text is written in were complete long before, and asking for a character's age is not free.
        if scalar.value < 0x0800 || (0x3000..<0xA000).contains(scalar.value) { return false }
        return scalar.properties.age.map { $0.major > 16 } ?? true
    }
}

extension UnsafeBufferPointer<UInt8> {
    /// The character at `index` and its length in bytes. The bytes must be valid UTF-8 and `index` a character's first.
    @inline(__always)
    func scalar(at index: Int) -> (value: UInt32, length: Int) {
        let lead = UInt32(self[index])
        if lead < 0x80 { return (lead, 1) }
        func continuation(_ offset: Int) -> UInt32 { UInt32(self[index + offset]) & 0x3F }
        if lead < 0xE0 { return ((lead & 0x1F) << 6 | continuation(1), 2) }
        if lead < 0xF0 { return ((lead & 0x0F) << 12 | continuation(1) << 6 | continuation(2), 3) }
        return ((lead & 0x07) << 18 | continuation(1) << 12 | continuation(2) << 6 | continuation(3), 4)
    }

    /// The character that ends just before `end`.
    func scalar(before end: Int) -> (value: UInt32, length: Int) {
        var start = end - 1
        while self[start] & 0xC0 == 0x80 { start -= 1 }
        return scalar(at: start)
    }
}
