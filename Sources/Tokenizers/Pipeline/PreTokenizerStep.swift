/// One step of cutting a text into pieces. Those that follow each other in a tokenizer.json see the pieces of the ones
/// before, each piece as a text of its own.
enum PreTokenizerStep: Sendable {
    /// A pattern for which there is a scanner.
    case scanner(PreTokenizer)
    case split(Pattern, SplitBehavior, isInverted: Bool)
    /// Numbers by themselves, or each digit.
    case digits(each: Bool)
    case punctuation(SplitBehavior)
    /// Words and runs of other characters, without the white space between.
    case words
    /// What lies between white space.
    case whitespace
    /// White space becomes a visible character, one may be put in front, and pieces start at each.
    case metaspace(Metaspace)
    /// A space is put before each piece that has none.
    case prefixSpace

    func apply(to list: inout PieceList) {
        switch self {
        case .scanner(let preTokenizer): list.split(as: preTokenizer)
        case .split(let pattern, let behavior, let isInverted):
            list.split(behavior, isInverted: isInverted) { pattern.matches(in: $0) }
        case .digits(let each):
            list.split(each ? .isolated : .contiguous) { PreTokenizerStep.characters(in: $0, where: Self.isDigit) }
        case .punctuation(let behavior):
            list.split(behavior) { PreTokenizerStep.characters(in: $0, where: Self.isPunctuation) }
        case .words: list.split(.removed, isInverted: true) { PreTokenizerStep.words(in: $0) }
        case .whitespace: list.split(.removed) { PreTokenizerStep.characters(in: $0, where: Self.isSpace) }
        case .metaspace(let metaspace): metaspace.apply(to: &list)
        case .prefixSpace:
            list.rewrite { text, _, result in
                if text.first != UInt8(ascii: " ") { result.append(UInt8(ascii: " ")) }
                result += text
            }
        }
    }

    // MARK: Characters

    /// Every character that `isMember` takes, as a match of its own.
    static func characters(
        in text: UnsafeBufferPointer<UInt8>, where isMember: (UInt32) -> Bool
    ) -> [Range<Int>] {
        var matches: [Range<Int>] = []
        var position = 0
        while position < text.count {
            let (value, length) = text.scalar(at: position)
            if isMember(value) { matches.append(position..<position + length) }
            position += length
        }
        return matches
    }

    /// Splitting into digits knows numbers that the patterns don't know yet.
    private static func isDigit(_ value: UInt32) -> Bool {
        switch ScalarClass(value) {
        case .number, .recentNumber: true
        default: false
        }
    }

    static func isSpace(_ value: UInt32) -> Bool { ScalarClass(value) == .space }

    /// ASCII's, symbols included, and beyond it the punctuation of Unicode 8, which is what the package knows here.
    private static func isPunctuation(_ value: UInt32) -> Bool {
        if value < 0x80 {
            return (0x21...0x2F).contains(value) || (0x3A...0x40).contains(value) || (0x5B...0x60).contains(value)
                || (0x7B...0x7E).contains(value)
        }
        // These two were punctuation then.
        if value == 0x166D || value == 0x111C9 { return true }
        guard ScalarKinds.punctuation.has(ScalarKind(value)) else { return false }
        return Unicode.Scalar(value)!.properties.age.map { $0.major <= 8 } ?? false
    }

    /// `\w+|[^\w\s]+`
    private static func words(in text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        func kind(_ value: UInt32) -> Int { isSpace(value) ? 0 : AddedTokenMatcher.isWord(value) ? 1 : 2 }
        var matches: [Range<Int>] = []
        var position = 0
        while position < text.count {
            let first = text.scalar(at: position)
            let runKind = kind(first.value)
            var end = position + first.length
            while end < text.count {
                let scalar = text.scalar(at: end)
                guard kind(scalar.value) == runKind else { break }
                end += scalar.length
            }
            if runKind != 0 { matches.append(position..<end) }
            position = end
        }
        return matches
    }
}

/// White space made visible, SentencePiece's way.
struct Metaspace: Sendable {
    enum Scheme: String, CaseIterable, Sendable { case first, never, always }

    /// UTF-8 of one character, `▁` as a rule.
    let replacement: [UInt8]
    /// Where the character is put in front of a piece that does not begin with it.
    let scheme: Scheme
    let splits: Bool

    func apply(to list: inout PieceList) {
        list.rewrite { text, isFirst, result in
            let start = result.count
            if scheme == .always || (scheme == .first && isFirst) {
                if text.first != UInt8(ascii: " "), !text.starts(with: replacement) { result += replacement }
            }
            for byte in text {
                if byte == UInt8(ascii: " ") { result += replacement } else { result.append(byte) }
            }
            assert(result.count > start)
        }
        guard splits else { return }
        let pattern = Pattern(literal: String(decoding: replacement, as: UTF8.self))
        list.split(.mergedWithNext) { pattern.matches(in: $0) }
    }
}
