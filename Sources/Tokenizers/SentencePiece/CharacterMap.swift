/// The replacements of characters that SentencePiece models come with: `nmt_nfkc` and the like, compiled.
///
///     bytes 0..<4           size of the trie in bytes, little-endian
///     then                  the trie: 32-bit little-endian units
///     then                  the replacements in UTF-8, each ended by a zero byte
///
/// A unit of the trie: bits 0..<8 the byte that leads to it, bit 8 whether a key ends there, bit 9 whether its offset
/// counts in 256s, bits 10..<32 the offset, which is combined with the next byte by exclusive or. The unit that an
/// ended key points at holds where its replacement starts, with bit 31 set.
/// Source: sentencepiece, normalizer.cc; darts-clone, darts.h.
struct CharacterMap: Sendable {
    /// Larger ones are refused; that of nmt_nfkc_cf has about 250 kilobytes.
    static let maximumByteCount = 1 << 26

    private let units: [UInt32]
    let replacements: [UInt8]

    /// - Throws: `TokenizerError` if the parts don't fit or the replacements are not UTF-8.
    init(_ bytes: [UInt8]) throws(TokenizerError) {
        func unit(at offset: Int) -> UInt32 {
            (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << UInt32(8 * $1) }
        }
        guard bytes.count >= 8, bytes.count <= CharacterMap.maximumByteCount else {
            throw TokenizerError(
                "the character map has \(bytes.count) bytes, expected 8 to \(CharacterMap.maximumByteCount)")
        }
        let size = Int(unit(at: 0))
        guard size > 0, size % 4 == 0, size <= bytes.count - 4 else {
            throw TokenizerError("the character map has a trie of \(size) bytes in \(bytes.count)")
        }
        units = (0..<size / 4).map { unit(at: 4 + 4 * $0) }
        replacements = Array(bytes[(4 + size)...])
        guard String(validating: replacements, as: UTF8.self) != nil else {
            throw TokenizerError("the character map has replacements that are not UTF-8")
        }
    }

    /// The longest key that `text` begins with, or the shortest, and where in ``replacements`` lies what replaces it.
    /// - Complexity: O(longest key).
    func match(
        _ text: UnsafeBufferPointer<UInt8>, shortest: Bool
    ) -> (length: Int, replacement: Range<Int>)? {
        var result: (length: Int, replacement: Range<Int>)?
        var node = CharacterMap.offset(units[0])
        for (index, byte) in text.enumerated() {
            node ^= Int(byte)
            guard node < units.count else { break }
            let unit = units[node]
            guard unit & 0x8000_00FF == UInt32(byte) else { break }
            node ^= CharacterMap.offset(unit)
            guard node < units.count else { break }
            guard unit >> 8 & 1 == 1, let replacement = replacement(at: Int(units[node] & 0x7FFF_FFFF)) else {
                continue
            }
            result = (index + 1, replacement)
            if shortest { break }
        }
        return result
    }

    private static func offset(_ unit: UInt32) -> Int { Int(unit >> 10) << Int((unit & 0x200) >> 6) }

    private func replacement(at start: Int) -> Range<Int>? {
        // The middle of a character would make text that is not UTF-8.
        guard start < replacements.count, replacements[start] & 0xC0 != 0x80 else { return nil }
        return start..<(replacements[start...].firstIndex(of: 0) ?? replacements.count)
    }

    /// The way of the `tokenizers` package, which is not SentencePiece's: characters as people see them are looked up
    /// whole if they are short, and the first key in them stands for all; else they are looked up part by part.
    func replacingGraphemes(in text: UnsafeBufferPointer<UInt8>) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var start = 0
        for character in String(decoding: text, as: UTF8.self) {
            let end = start + character.utf8.count
            let grapheme = UnsafeBufferPointer(rebasing: text[start..<end])
            if grapheme.count < 6, let match = match(grapheme, shortest: true) {
                result += replacements[match.replacement]
            } else {
                var position = 0
                while position < grapheme.count {
                    let length = grapheme.scalar(at: position).length
                    let part = UnsafeBufferPointer(rebasing: grapheme[position..<position + length])
                    if let match = match(part, shortest: true) {
                        result += replacements[match.replacement]
                    } else {
                        result += part
                    }
                    position += length
                }
            }
            start = end
        }
        return result
    }
}
