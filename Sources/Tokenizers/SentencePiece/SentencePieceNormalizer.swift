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

    /// - Parameter isContinued: the text goes on behind another, so that no space is put in front.
    func normalized(_ text: UnsafeBufferPointer<UInt8>, isContinued: Bool = false) -> [UInt8] {
        var result: [UInt8] = []
        var position = 0
        if removesExtraWhitespace {
            while position < text.count {
                let (length, replacement) = step(text, position)
                guard replacement.elementsEqual(CollectionOfOne(UInt8(ascii: " "))) else { break }
                position += length
            }
        }
        guard position < text.count else { return [] }
        result.reserveCapacity(text.count + text.count / 2)
        let space = escapesWhitespace ? SentencePieceNormalizer.space : [UInt8(ascii: " ")]
        if addsDummyPrefix && !isContinued { result += space }
        var followsSpace = removesExtraWhitespace
        while position < text.count {
            var (length, replacement) = step(text, position)
            if followsSpace { replacement = replacement.drop { $0 == UInt8(ascii: " ") } }
            for byte in replacement {
                if byte == UInt8(ascii: " ") { result += space } else { result.append(byte) }
            }
            if !replacement.isEmpty {
                followsSpace = removesExtraWhitespace && replacement.last == UInt8(ascii: " ")
            }
            position += length
        }
        if removesExtraWhitespace {
            while result.suffix(space.count).elementsEqual(space) { result.removeLast(space.count) }
        }
        return result
    }

    /// How many bytes at `position` are taken together, and what they become.
    private func step(
        _ text: UnsafeBufferPointer<UInt8>, _ position: Int
    ) -> (length: Int, replacement: ArraySlice<UInt8>) {
        if let match = userDefined?.longestPrefix(of: text, from: position) {
            return (match.end - position, Array(text[position..<match.end])[...])
        }
        let rest = UnsafeBufferPointer(rebasing: text[position...])
        if let match = characterMap?.match(rest, shortest: false) { return match }
        let length = text.scalar(at: position).length
        return (length, Array(text[position..<position + length])[...])
    }
}
