/// Turns the ids of a SentencePiece model into text as they come.
///
/// Bytes are held back up to the end of their character; a byte that is part of none is U+FFFD. The space that encoding
/// puts in front goes.
/// Source: sentencepiece, sentencepiece_processor.cc, `Decode`.
struct SentencePieceStream: Sendable {
    private let file: SentencePieceFile
    /// At most three: the start of a character.
    private var bytes: [UInt8] = []
    /// Whether any text came before.
    private var hasText = false
    private var expectsSpace = true
    private var tookSpace = false

    init(_ file: SentencePieceFile) { self.file = file }

    /// - Parameters:
    ///   - token: the token's text.
    ///   - isSpecial: a special token or another added one, whose text means itself.
    mutating func append(_ id: Int, _ token: some Sequence<UInt8>, isAdded: Bool) -> [UInt8] {
        if !isAdded, id < file.pieces.count, file.pieces[id].type == .byte,
            let byte = Vocabulary.byte(fallback: file.pieces[id].text.utf8)
        {
            bytes.append(byte)
            return keeping(takeCharacters(isEnd: false))
        }
        var output = keeping(takeCharacters(isEnd: true))
        if tookSpace || hasText { expectsSpace = false }
        tookSpace = false
        var text = Array(token)
        if isAdded || id >= file.pieces.count { return output + keeping(text) }
        switch file.pieces[id].type {
        case .control: return output
        case .unknown: return output + keeping(Array(file.unknownSurface.utf8))
        default: break
        }
        let space = SentencePieceNormalizer.space
        if expectsSpace, file.addsDummyPrefix || file.removesExtraWhitespace, text.starts(with: space) {
            text.removeFirst(space.count)
            tookSpace = !file.removesExtraWhitespace
        }
        output += keeping(SentencePieceStream.withSpaces(text))
        return output
    }

    mutating func finish() -> [UInt8] { takeCharacters(isEnd: true) }

    private mutating func keeping(_ text: [UInt8]) -> [UInt8] {
        hasText = hasText || !text.isEmpty
        return text
    }

    private static func withSpaces(_ text: [UInt8]) -> [UInt8] {
        let pattern = Pattern(literal: "\u{2581}")
        return text.withUnsafeBufferPointer { pattern.replacing(in: $0, with: [UInt8(ascii: " ")]) } ?? text
    }

    /// The characters that the bytes spell so far.
    private mutating func takeCharacters(isEnd: Bool) -> [UInt8] {
        var output: [UInt8] = []
        var rest = bytes[...]
        while let lead = rest.first {
            let length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4
            let character = rest.prefix(length)
            if character.count == length, String(validating: character, as: UTF8.self) != nil {
                output += character
                rest = rest.dropFirst(length)
            } else if !isEnd, StreamingDetokenizer.unfinishedByteCount(atEndOf: Array(rest)) == rest.count {
                break
            } else {
                output += Array("\u{FFFD}".utf8)
                rest = rest.dropFirst()
            }
        }
        bytes = Array(rest)
        return output
    }
}
