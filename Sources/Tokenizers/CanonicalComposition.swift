// The standard library normalises strings to compare them, but has no public call for it. This system interface is the
// one that Swift's regular expressions use; Foundation's call would cost every program start-up time and memory.
@_spi(_Unicode) import Swift

/// Unicode's normalization form C, as far as Unicode 9 goes.
///
/// That is what the `tokenizers` package (0.23) does, and so what models were trained on: characters newer than
/// Unicode 9 are neither composed nor put in order.
/// Source: Unicode Standard Annex #15.
enum CanonicalComposition {
    /// The composed form of UTF-8 text, or nil if it is composed already for a reason that is quick to see: characters
    /// below U+0300 neither decompose into nor combine with anything else, and their UTF-8 has no byte above 0xCB.
    static func composed(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0xCC }) else { return nil }
        return normalized(text) { String($0)._nfc.map(\.self) }
    }

    /// The decomposed form, normalization form D; nil if the text is ASCII, which has nothing to decompose.
    static func decomposed(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0x80 }) else { return nil }
        return normalized(text) { String($0)._nfd.map(\.self) }
    }

    private static func normalized(
        _ text: UnsafeBufferPointer<UInt8>, form: (String.UnicodeScalarView) -> [Unicode.Scalar]
    ) -> [UInt8] {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var known = String.UnicodeScalarView()
        func flush() {
            for scalar in form(known) { result.append(contentsOf: UTF8.encode(scalar)!) }
            known.removeAll(keepingCapacity: true)
        }
        for scalar in String(decoding: text, as: UTF8.self).unicodeScalars {
            switch scalar.value {
            // These three combine with nothing themselves but consist of marks that do. The standard library (6.3) does
            // not put such marks in order; none of the three occurs in composed text.
            case 0x0F73: known.append(contentsOf: "\u{0F71}\u{0F72}".unicodeScalars)
            case 0x0F75: known.append(contentsOf: "\u{0F71}\u{0F74}".unicodeScalars)
            case 0x0F81: known.append(contentsOf: "\u{0F71}\u{0F80}".unicodeScalars)
            default:
                if isRecent(scalar) {
                    flush()
                    result.append(contentsOf: UTF8.encode(scalar)!)
                } else {
                    known.append(scalar)
                }
            }
        }
        flush()
        return result
    }

    static func composed(_ text: String) -> String {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            composed(bytes).map { String(decoding: $0, as: UTF8.self) } ?? text
        }
    }

    private static func isRecent(_ scalar: Unicode.Scalar) -> Bool {
        // Asking for a character's age is not free; nothing new in these ranges composes.
        if scalar.value < 0x0700 || (0x3000..<0xA000).contains(scalar.value) { return false }
        return scalar.properties.age.map { $0.major > 9 } ?? true
    }
}
