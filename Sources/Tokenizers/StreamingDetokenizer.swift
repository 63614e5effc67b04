/// Turns tokens into text as they come, without ever cutting a character.
///
/// A token may end inside a character's UTF-8. Its bytes are then held back until the next token shows what they are;
/// what can't become a character any more is U+FFFD at once. All outputs together are what
/// ``Tokenizer/decode(_:skippingSpecialTokens:)`` gives for all tokens.
public struct StreamingDetokenizer: Sendable {
    private let tokenizer: Tokenizer
    private let skippingSpecialTokens: Bool
    private var stream: Stream

    private enum Stream {
        /// At most three bytes: the start of a character.
        case bytes([UInt8])
        case steps(DecoderStream)
        case sentencePiece(SentencePieceStream)

        init(_ definition: TokenizerDefinition) {
            self =
                if case .sentencePiece(let model) = definition.model {
                    .sentencePiece(SentencePieceStream(model.file))
                } else if definition.vocabulary.spelling == .byteLevel {
                    .bytes([])
                } else {
                    .steps(DecoderStream(definition.pipeline.decoders))
                }
        }
    }

    public init(tokenizer: Tokenizer, skippingSpecialTokens: Bool = true) {
        self.tokenizer = tokenizer
        self.skippingSpecialTokens = skippingSpecialTokens
        stream = Stream(tokenizer.definition)
    }

    /// The text that `token` completes; often one word, sometimes none.
    public mutating func append(_ token: Int) -> String {
        let definition = tokenizer.definition
        let bytes = tokenizer.bytes(of: token, skippingSpecialTokens: skippingSpecialTokens)
        switch stream {
        case .bytes(var pending):
            pending.append(contentsOf: bytes)
            let complete = pending.count - StreamingDetokenizer.unfinishedByteCount(atEndOf: pending)
            let text = String(decoding: pending[..<complete], as: UTF8.self)
            pending.removeFirst(complete)
            stream = .bytes(pending)
            return text
        case .steps(var steps):
            guard !bytes.isEmpty else { return "" }
            let text = steps.append(bytes)
            stream = .steps(steps)
            return String(decoding: text, as: UTF8.self)
        case .sentencePiece(var pieces):
            guard !bytes.isEmpty else { return "" }
            let text = pieces.append(token, bytes, isAdded: definition.isAdded(token))
            stream = .sentencePiece(pieces)
            return String(decoding: text, as: UTF8.self)
        }
    }

    /// What is left: empty as a rule, or U+FFFD for a character that never ended. The detokenizer is then as new.
    public mutating func finish() -> String {
        defer { stream = Stream(tokenizer.definition) }
        switch stream {
        case .bytes(let pending): return String(decoding: pending, as: UTF8.self)
        case .steps(var steps): return String(decoding: steps.finish(), as: UTF8.self)
        case .sentencePiece(var pieces): return String(decoding: pieces.finish(), as: UTF8.self)
        }
    }

    /// How many bytes at the end are the start of a character that more bytes could complete: 0 to 3.
    ///
    /// Source: The Unicode Standard, table 3-7, well-formed UTF-8 byte sequences.
    static func unfinishedByteCount(atEndOf bytes: [UInt8]) -> Int {
        for count in 1...3 where count <= bytes.count {
            let lead = bytes[bytes.count - count]
            if lead & 0xC0 == 0x80 { continue }  // inside a character: look for its first byte
            let length =
                switch lead {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            guard count < length else { return 0 }
            return count == 1 || secondBytes(after: lead).contains(bytes[bytes.count - count + 1]) ? count : 0
        }
        return 0
    }

    /// The second bytes that may follow a first one: not every continuation byte, lest a character have two spellings.
    private static func secondBytes(after lead: UInt8) -> ClosedRange<UInt8> {
        switch lead {
        case 0xE0: 0xA0...0xBF
        case 0xED: 0x80...0x9F
        case 0xF0: 0x90...0xBF
        case 0xF4: 0x80...0x8F
        default: 0x80...0xBF
        }
    }
}
