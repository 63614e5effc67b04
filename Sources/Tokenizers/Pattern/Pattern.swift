/// What a text is searched for: a regular expression, or a text as it stands.
struct Pattern: Sendable {
    private enum Form: Sendable {
        case expression(PatternProgram)
        case literal([UInt8])
    }
    private let form: Form

    /// - Throws: `TokenizerError` if the expression is invalid or has parts that are not supported.
    init(expression text: String) throws(TokenizerError) {
        form = .expression(try PatternProgram(PatternParser.parse(text)))
    }

    init(literal text: String) { form = .literal(Array(text.utf8)) }

    /// The matches from left to right, without overlap.
    /// - Complexity: O(bytes x choices of the pattern).
    func matches(in text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        guard !text.isEmpty else { return [] }
        switch form {
        case .expression(let program):
            var matcher = PatternMatcher(program, text)
            return matcher.matches()
        case .literal(let literal): return Pattern.matches(of: literal, in: text)
        }
    }

    private static func matches(of literal: [UInt8], in text: UnsafeBufferPointer<UInt8>) -> [Range<Int>] {
        guard let first = literal.first else {
            // Nothing is found between any two characters.
            return text.indices.filter { text[$0] & 0xC0 != 0x80 }.map { $0..<$0 } + [text.count..<text.count]
        }
        var matches: [Range<Int>] = []
        var position = 0
        while position + literal.count <= text.count {
            if text[position] == first, text[position..<position + literal.count].elementsEqual(literal) {
                matches.append(position..<position + literal.count)
                position += literal.count
            } else {
                position += 1
            }
        }
        return matches
    }

    /// The text with every match replaced; nil if there is none.
    func replacing(in text: UnsafeBufferPointer<UInt8>, with content: [UInt8]) -> [UInt8]? {
        let matches = matches(in: text)
        guard !matches.isEmpty else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(text.count)
        var end = 0
        for match in matches {
            result += text[end..<match.lowerBound]
            result += content
            end = match.upperBound
        }
        result += text[end...]
        return result
    }
}
