// The standard library normalises strings to compare them, but has no public call for it. This system interface is the
// one that Swift's regular expressions use; Foundation's call would cost every program start-up time and memory.
@_spi(_Unicode) import Swift

/// Unicode's normalization form C.
///
/// Source: Unicode Standard Annex #15.
enum CanonicalComposition {
    /// The composed form of UTF-8 text, or nil if it is composed already for a reason that is quick to see: characters
    /// below U+0300 neither decompose into nor combine with anything else, and their UTF-8 has no byte above 0xCB.
    static func composed(_ text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        guard text.contains(where: { $0 >= 0xCC }) else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        let decomposed = decomposingTibetanVowels(String(decoding: text, as: UTF8.self))
        for scalar in decomposed._nfc { result.append(contentsOf: UTF8.encode(scalar)!) }
        return result
    }

    /// Takes apart the three characters that combine with nothing themselves but consist of marks that do: the standard
    /// library (6.3) does not put their marks in order. None of them occurs in composed text.
    private static func decomposingTibetanVowels(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { [0x0F73, 0x0F75, 0x0F81].contains($0.value) }) else { return text }
        var result = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x0F73: result.append(contentsOf: "\u{0F71}\u{0F72}".unicodeScalars)
            case 0x0F75: result.append(contentsOf: "\u{0F71}\u{0F74}".unicodeScalars)
            case 0x0F81: result.append(contentsOf: "\u{0F71}\u{0F80}".unicodeScalars)
            default: result.append(scalar)
            }
        }
        return String(result)
    }

    static func composed(_ text: String) -> String {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            composed(bytes).map { String(decoding: $0, as: UTF8.self) } ?? text
        }
    }
}
