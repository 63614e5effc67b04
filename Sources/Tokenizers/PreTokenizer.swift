/// How a text is cut into pieces before the merges work on each piece by itself.
///
/// Each is one of the published patterns, written as a scanner by hand: no pattern engine, linear time.
public enum PreTokenizer: String, Sendable, CaseIterable {
    /// GPT-2: words, numbers and punctuation, each with at most one space before it.
    case gpt2
    /// SmolLM and StarCoder: every digit by itself, and between them as in GPT-2.
    case smolLM
    /// Llama 3: numbers in groups of up to three digits; line breaks stay with what precedes them.
    case llama3
    /// Qwen2: as Llama 3, but every digit by itself.
    case qwen2

    /// The pattern between digits that are split off first, as tokenizer.json files spell it.
    var pattern: String {
        switch self {
        case .gpt2, .smolLM:
            #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#
        case .llama3:
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"#
                + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        case .qwen2:
            #"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"#
                + #"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"#
        }
    }
}

/// Cuts valid UTF-8 into pieces; together they are the whole text, and none is empty.
///
/// - Complexity: O(bytes) for a whole text.
struct PieceScanner {
    private let bytes: UnsafeBufferPointer<UInt8>
    private let preTokenizer: PreTokenizer
    private var position = 0

    init(_ bytes: UnsafeBufferPointer<UInt8>, preTokenizer: PreTokenizer) {
        self.bytes = bytes
        self.preTokenizer = preTokenizer
    }

    /// The next piece, or nil at the end of the text.
    mutating func next() -> Range<Int>? {
        guard position < bytes.count else { return nil }
        let start = position
        switch preTokenizer {
        case .gpt2: position = endOfGPT2Piece(splittingDigits: false)
        case .smolLM: position = endOfGPT2Piece(splittingDigits: true)
        case .llama3: position = endOfLlama3Piece(longestNumber: 3)
        case .qwen2: position = endOfLlama3Piece(longestNumber: 1)
        }
        return start..<position
    }

    /// A character with where it ends.
    private struct Scalar {
        let value: UInt32
        let end: Int
        let kind: ScalarClass

        var isLineBreak: Bool { value == 0x0A || value == 0x0D }
        /// `[^\s\p{L}\p{N}]`
        var isOther: Bool { kind == .other || kind == .recentNumber }
        /// What splitting into digits calls a number.
        var isDigit: Bool { kind == .number || kind == .recentNumber }
    }

    @inline(__always)
    private func scalar(at index: Int) -> Scalar? {
        guard index < bytes.count else { return nil }
        let (value, length) = bytes.scalar(at: index)
        return Scalar(value: value, end: index + length, kind: ScalarClass(value))
    }

    /// The end of the run of characters from `start` on for which `isMember` holds.
    @inline(__always)
    private func endOfRun(from start: Int, where isMember: (Scalar) -> Bool) -> Int {
        var end = start
        while let scalar = scalar(at: end), isMember(scalar) { end = scalar.end }
        return end
    }
}

// MARK: - GPT-2

extension PieceScanner {
    /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
    ///
    /// With `splittingDigits`, digits are pieces of their own and the pattern sees the text between them as if it ended
    /// there.
    private func endOfGPT2Piece(splittingDigits: Bool) -> Int {
        guard let first = scalar(at: position) else { return bytes.count }
        if splittingDigits && first.isDigit { return first.end }
        if first.value == 0x27, let end = endOfContraction(from: first.end, ignoringCase: false) { return end }

        let isAfterSpace = first.value == 0x20
        if let body = isAfterSpace ? scalar(at: first.end) : first, !(splittingDigits && body.isDigit) {
            switch body.kind {
            case .letter: return endOfRun(from: body.end) { $0.kind == .letter }
            case .number: return endOfRun(from: body.end) { $0.kind == .number }
            case .other, .recentNumber:
                return endOfRun(from: body.end) { splittingDigits ? $0.kind == .other : $0.isOther }
            case .space: break
            }
        }
        return endOfSpaces(first, splittingDigits: splittingDigits)
    }

    /// `\s+(?!\S)|\s+` at the white space `first`: a run leaves its last character to the word that follows, unless it
    /// has no other.
    private func endOfSpaces(_ first: Scalar, splittingDigits: Bool) -> Int {
        var lastStart = position
        var end = first.end
        while let scalar = scalar(at: end), scalar.kind == .space {
            lastStart = end
            end = scalar.end
        }
        guard let following = scalar(at: end), !(splittingDigits && following.isDigit) else { return end }
        return lastStart > position ? lastStart : end
    }

    /// The end of `s|t|re|ve|m|ll|d` at `start`, just after an apostrophe; nil if the text goes on in another way.
    private func endOfContraction(from start: Int, ignoringCase: Bool) -> Int? {
        /// The lower-case letter at an index. U+017F, the long s, is the one character beyond ASCII whose case folds
        /// into one of these letters.
        func letter(at index: Int) -> (letter: UInt8, end: Int)? {
            guard let scalar = scalar(at: index) else { return nil }
            if scalar.value < 0x80 {
                return (UInt8(scalar.value) | (ignoringCase && scalar.kind == .letter ? 0x20 : 0), scalar.end)
            }
            return ignoringCase && scalar.value == 0x17F ? (UInt8(ascii: "s"), scalar.end) : nil
        }
        guard let first = letter(at: start) else { return nil }
        let second: UInt8
        switch first.letter {
        case UInt8(ascii: "s"), UInt8(ascii: "t"), UInt8(ascii: "m"), UInt8(ascii: "d"): return first.end
        case UInt8(ascii: "r"), UInt8(ascii: "v"): second = UInt8(ascii: "e")
        case UInt8(ascii: "l"): second = UInt8(ascii: "l")
        default: return nil
        }
        guard let next = letter(at: first.end), next.letter == second else { return nil }
        return next.end
    }
}

// MARK: - Llama 3 and Qwen2

extension PieceScanner {
    /// `(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,longestNumber}`
    /// `| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
    private func endOfLlama3Piece(longestNumber: Int) -> Int {
        guard let first = scalar(at: position) else { return bytes.count }
        if first.value == 0x27, let end = endOfContraction(from: first.end, ignoringCase: true) { return end }
        if first.kind == .letter { return endOfRun(from: first.end) { $0.kind == .letter } }
        if first.kind == .number {
            var remaining = longestNumber - 1
            return endOfRun(from: first.end) { scalar in
                defer { remaining -= 1 }
                return remaining > 0 && scalar.kind == .number
            }
        }
        let second = scalar(at: first.end)
        if !first.isLineBreak, let second, second.kind == .letter {
            return endOfRun(from: second.end) { $0.kind == .letter }
        }
        if let body = first.value == 0x20 ? second : first, body.isOther {
            let end = endOfRun(from: body.end) { $0.isOther }
            return endOfRun(from: end) { $0.isLineBreak }
        }
        return endOfLastLineBreak(first) ?? endOfSpaces(first, splittingDigits: false)
    }

    /// `\s*[\r\n]+` at the white space `first`: up to and with the run's last line break, if it has one.
    private func endOfLastLineBreak(_ first: Scalar) -> Int? {
        var result: Int?
        var next: Scalar? = first
        while let scalar = next, scalar.kind == .space {
            if scalar.isLineBreak { result = scalar.end }
            next = self.scalar(at: scalar.end)
        }
        return result
    }
}
