/// One step of turning tokens into text.
enum DecoderStep: Sendable {
    /// In each token.
    case replace(Pattern, with: [UInt8])
    /// Runs of tokens such as `<0xE2>` become the characters that their bytes spell, or one U+FFFD for each.
    case byteFallback
    /// What comes after it sees one text, not tokens.
    case fuse
    /// Takes so many times `content` from the start and the end of each token, or of the text behind ``fuse``.
    case strip(content: [UInt8], start: Int, stop: Int)
    /// `▁` becomes a space, or nothing in the first token if `removesFirst`.
    case metaspace([UInt8], removesFirst: Bool)
}

/// Turns tokens into text as they come, by the steps of a decoder.
///
/// Each step hands on what can't change any more. A run of byte tokens is held back until it ends, since the package
/// replaces every byte of a run that is not UTF-8 as a whole.
struct DecoderStream: Sendable {
    /// What a step remembers.
    private struct State {
        /// Bytes of tokens such as `<0xE2>`.
        var bytes: [UInt8] = []
        /// How many tokens came.
        var count = 0
        /// Of a strip behind a fuse: how often its content may still be taken from the start.
        var startLeft = 0
        /// Of such a strip: how often the content stands at the end of what came, held back.
        var held = 0
    }

    private let steps: [DecoderStep]
    private var states: [State]
    /// Steps from this one on see text, not tokens.
    private let firstFused: Int
    private var output: [UInt8] = []

    init(_ steps: [DecoderStep]) {
        self.steps = steps
        states = steps.map { step in
            if case .strip(_, let start, _) = step { State(startLeft: start) } else { State() }
        }
        firstFused = steps.firstIndex { if case .fuse = $0 { true } else { false } } ?? steps.count
    }

    /// The text that a token completes.
    mutating func append(_ token: some Sequence<UInt8>) -> [UInt8] {
        feed(Array(token), to: 0)
        return takeOutput()
    }

    /// The text that is left.
    mutating func finish() -> [UInt8] {
        for index in steps.indices { flush(index) }
        return takeOutput()
    }

    private mutating func takeOutput() -> [UInt8] {
        defer { output = [] }
        return output
    }

    private mutating func feed(_ token: [UInt8], to index: Int) {
        guard index < steps.count else {
            output += token
            return
        }
        defer { states[index].count += 1 }
        switch steps[index] {
        case .replace(let pattern, let content):
            feed(token.withUnsafeBufferPointer { pattern.replacing(in: $0, with: content) } ?? token, to: index + 1)
        case .byteFallback:
            if let byte = Self.byte(token) {
                states[index].bytes.append(byte)
            } else {
                flush(index)
                feed(token, to: index + 1)
            }
        case .fuse: feed(token, to: index + 1)
        case .strip(let content, let start, let stop):
            if index > firstFused {
                stripText(token, content, stop: stop, index)
            } else {
                feed(Self.stripped(token, content, start: start, stop: stop), to: index + 1)
            }
        case .metaspace(let replacement, let removesFirst):
            let content: [UInt8] = removesFirst && states[index].count == 0 ? [] : [UInt8(ascii: " ")]
            let pattern = Pattern(literal: String(decoding: replacement, as: UTF8.self))
            feed(token.withUnsafeBufferPointer { pattern.replacing(in: $0, with: content) } ?? token, to: index + 1)
        }
    }

    /// Hands on what the step holds back.
    private mutating func flush(_ index: Int) {
        guard case .byteFallback = steps[index], !states[index].bytes.isEmpty else { return }
        let bytes = states[index].bytes
        states[index].bytes = []
        if String(validating: bytes, as: UTF8.self) != nil {
            feed(bytes, to: index + 1)
        } else {
            for _ in bytes { feed(Array("\u{FFFD}".utf8), to: index + 1) }
        }
    }

    /// The byte of a token such as `<0x0a>`; the package takes small digits, too, and a plus sign.
    private static func byte(_ token: [UInt8]) -> UInt8? {
        guard token.count == 6, token.starts(with: "<0x".utf8), token[5] == UInt8(ascii: ">") else { return nil }
        return UInt8(String(decoding: token[3...4], as: UTF8.self), radix: 16)
    }

    private static func stripped(_ token: [UInt8], _ content: [UInt8], start: Int, stop: Int) -> [UInt8] {
        var rest = token[...]
        for _ in 0..<start where rest.starts(with: content) { rest = rest.dropFirst(content.count) }
        for _ in 0..<stop where rest.suffix(content.count).elementsEqual(content) {
            rest = rest.dropLast(content.count)
        }
        return Array(rest)
    }

    private mutating func stripText(_ text: [UInt8], _ content: [UInt8], stop: Int, _ index: Int) {
        var rest = text[...]
        while states[index].startLeft > 0, !rest.isEmpty {
            if rest.starts(with: content) {
                rest = rest.dropFirst(content.count)
                states[index].startLeft -= 1
            } else {
                states[index].startLeft = 0
            }
        }
        guard stop > 0 else {
            if !rest.isEmpty { feed(Array(rest), to: index + 1) }
            return
        }
        var whole = Array(repeatElement(content, count: states[index].held).joined()) + rest
        states[index].held = 0
        while states[index].held < stop, whole.suffix(content.count).elementsEqual(content) {
            whole.removeLast(content.count)
            states[index].held += 1
        }
        if !whole.isEmpty { feed(whole, to: index + 1) }
    }
}
