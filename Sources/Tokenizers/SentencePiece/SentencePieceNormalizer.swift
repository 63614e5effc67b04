/// What SentencePiece does to a text before it cuts it into pieces: characters are replaced, white space is tidied and
/// made visible, a space is put in front.
/// Source: sentencepiece, normalizer.cc.
struct SentencePieceNormalizer: Sendable {
    static let space: [UInt8] = Array("\u{2581}".utf8)

    let characterMap: CharacterMap?
    let addsDummyPrefix: Bool
    let removesExtraWhitespace: Bool
    let escapesWhitespace: Bool
    /// Pieces that users defined: these stay as they are.
    let userDefined: PrefixTrie?

    /// - Parameters:
    ///   - isContinued: the text goes on behind another, so that no space is put in front.
    ///   - result: is overwritten.
    func normalize(_ text: UnsafeBufferPointer<UInt8>, isContinued: Bool = false, into result: inout [UInt8]) {
        result.removeAll(keepingCapacity: true)
        (characterMap?.replacements ?? []).withUnsafeBufferPointer { replacements in
            normalize(text, replacements, isContinued: isContinued, into: &result)
        }
    }

    private func normalize(
        _ text: UnsafeBufferPointer<UInt8>, _ replacements: UnsafeBufferPointer<UInt8>, isContinued: Bool,
        into result: inout [UInt8]
    ) {
        var position = 0
        if removesExtraWhitespace {
            while position < text.count {
                let (length, replacement) = step(text, position, replacements)
                guard replacement.count == 1, replacement[0] == UInt8(ascii: " ") else { break }
                position += length
            }
        }
        guard position < text.count else { return }
        result.reserveCapacity(text.count + text.count / 2 + SentencePieceNormalizer.space.count)
        let space = escapesWhitespace ? SentencePieceNormalizer.space : [UInt8(ascii: " ")]
        if addsDummyPrefix && !isContinued { result += space }
        var followsSpace = removesExtraWhitespace
        while position < text.count {
            let (length, replacement) = step(text, position, replacements)
            position += length
            for byte in replacement {
                if byte != UInt8(ascii: " ") {
                    result.append(byte)
                    followsSpace = false
                } else if !followsSpace {
                    result += space
                }
            }
            if let last = replacement.last { followsSpace = removesExtraWhitespace && last == UInt8(ascii: " ") }
        }
        if removesExtraWhitespace {
            while result.suffix(space.count).elementsEqual(space) { result.removeLast(space.count) }
        }
    }

    /// How many bytes at `position` are taken together, and what they become.
    @inline(__always)
    private func step(
        _ text: UnsafeBufferPointer<UInt8>, _ position: Int, _ replacements: UnsafeBufferPointer<UInt8>
    ) -> (length: Int, replacement: UnsafeBufferPointer<UInt8>) {
        if let match = userDefined?.longestPrefix(of: text, from: position) {
            return (match.end - position, UnsafeBufferPointer(rebasing: text[position..<match.end]))
        }
        if let match = characterMap?.match(UnsafeBufferPointer(rebasing: text[position...]), shortest: false) {
            return (match.length, UnsafeBufferPointer(rebasing: replacements[match.replacement]))
        }
        let length = text.scalar(at: position).length
        return (length, UnsafeBufferPointer(rebasing: text[position..<position + length]))
    }
}
