/// The 256 printable characters that stand for the 256 bytes in the files of byte-level vocabularies.
///
/// Printable bytes of Latin-1 stand for themselves; the other 68 bytes, in ascending order, are written as U+0100,
/// U+0101 and so on. So a space is "Ġ" (U+0120) and a newline "Ċ" (U+010A). Every character of the alphabet takes one
/// or two bytes in UTF-8.
/// Source: Radford et al., "Language Models are Unsupervised Multitask Learners", 2019 (GPT-2), `bytes_to_unicode`.
enum ByteAlphabet {
    /// Whether `byte` is written as the character with the same number.
    private static func isPrintable(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: true
        default: false
        }
    }

    /// The character of each byte.
    static let characters: [UInt16] = {
        var next: UInt16 = 0x100
        return (0...255).map { byte in
            if isPrintable(UInt8(byte)) { return UInt16(byte) }
            defer { next += 1 }
            return next
        }
    }()

    /// The byte of each character below U+0180, or -1.
    private static let bytes: [Int16] = {
        var table = [Int16](repeating: -1, count: 0x180)
        for (byte, character) in characters.enumerated() { table[Int(character)] = Int16(byte) }
        return table
    }()

    /// Appends the bytes that `text` (UTF-8) stands for to `output`.
    /// - Returns: false, with `output` as it was, if a character lies outside the alphabet.
    static func appendBytes(of text: some Collection<UInt8>, to output: inout [UInt8]) -> Bool {
        let start = output.count
        var lead: Int?
        for unit in text {
            let character: Int
            if let first = lead {
                character = (first & 0x1F) << 6 | Int(unit & 0x3F)
                lead = nil
            } else if unit < 0x80 {
                character = Int(unit)
            } else if unit & 0xE0 == 0xC0 {
                lead = Int(unit)
                continue
            } else {
                character = bytes.count  // three or more bytes: beyond the alphabet
            }
            guard character < bytes.count, bytes[character] >= 0 else {
                output.removeSubrange(start...)
                return false
            }
            output.append(UInt8(bytes[character]))
        }
        return true
    }

    /// The characters that stand for `bytes`.
    static func text(of bytes: some Collection<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(Unicode.Scalar(characters[Int(byte)])!) }  // all below the surrogates
        return String(text)
    }
}
