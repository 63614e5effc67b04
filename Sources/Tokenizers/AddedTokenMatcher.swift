/// Finds added tokens in a text: at each position the longest one, from left to right, without overlap.
struct AddedTokenMatcher: Sendable {
    /// A part of a text.
    enum Part: Equatable {
        case text(Range<Int>)
        case token(Int)
    }

    private let tokens: [AddedToken]
    /// A trie: (node << 8 | byte) to the next node. Node 0 is the root.
    private var edges: [UInt64: Int32] = [:]
    /// The token that ends at each node, as an index into `tokens`, or -1.
    private var ends: [Int32] = [-1]
    /// Whether any token starts with this byte: most positions of a text are ruled out by it.
    private var isFirstByte = [Bool](repeating: false, count: 256)

    var isEmpty: Bool { tokens.isEmpty }

    /// - Parameter patterns: the texts to look for, one for each of `tokens`.
    init(tokens: [AddedToken], patterns: [String]) {
        precondition(tokens.count == patterns.count, "a pattern for each token")
        self.tokens = tokens
        for (index, pattern) in patterns.enumerated() {
            var node: Int32 = 0
            for byte in pattern.utf8 {
                let key = UInt64(node) << 8 | UInt64(byte)
                if let next = edges[key] {
                    node = next
                } else {
                    node = Int32(ends.count)
                    edges[key] = node
                    ends.append(-1)
                }
            }
            if ends[Int(node)] < 0 { ends[Int(node)] = Int32(index) }
            if let first = pattern.utf8.first { isFirstByte[Int(first)] = true }
        }
    }

    /// Cuts `text` (valid UTF-8) into added tokens and what lies between them.
    ///
    /// A match that is not taken, because it is special and specials are not asked for or because it is not a single
    /// word, still hides the shorter and overlapping ones, as in the `tokenizers` package.
    /// - Complexity: O(bytes x longest token).
    func parts(of text: UnsafeBufferPointer<UInt8>, findingSpecial: Bool) -> [Part] {
        var parts: [Part] = []
        var taken = 0
        var position = 0
        while position < text.count {
            guard isFirstByte[Int(text[position])], let match = longestMatch(in: text, at: position) else {
                position += 1
                continue
            }
            var range = position..<match.end
            position = match.end
            let token = tokens[match.token]
            if token.isSpecial && !findingSpecial { continue }
            if token.isSingleWord && touchesWord(range, in: text) { continue }
            if token.stripsLeft { range = startOfSpaces(before: range.lowerBound, in: text)..<range.upperBound }
            if token.stripsRight { range = range.lowerBound..<endOfSpaces(after: range.upperBound, in: text) }
            if taken < range.lowerBound { parts.append(.text(taken..<range.lowerBound)) }
            parts.append(.token(token.id))
            taken = max(taken, range.upperBound)
        }
        if taken < text.count { parts.append(.text(taken..<text.count)) }
        return parts
    }

    private func longestMatch(in text: UnsafeBufferPointer<UInt8>, at start: Int) -> (token: Int, end: Int)? {
        var result: (token: Int, end: Int)?
        var node: Int32 = 0
        var index = start
        while index < text.count, let next = edges[UInt64(node) << 8 | UInt64(text[index])] {
            node = next
            index += 1
            if ends[Int(node)] >= 0 { result = (Int(ends[Int(node)]), index) }
        }
        return result
    }

    private func touchesWord(_ range: Range<Int>, in text: UnsafeBufferPointer<UInt8>) -> Bool {
        if range.lowerBound > 0, AddedTokenMatcher.isWord(text.scalar(before: range.lowerBound).value) { return true }
        return range.upperBound < text.count && AddedTokenMatcher.isWord(text.scalar(at: range.upperBound).value)
    }

    /// `\w` of Unicode Technical Standard #18, annex C, as of Unicode 16.
    static func isWord(_ value: UInt32) -> Bool {
        if value >= 0x80, ScalarKind(value) == .unassigned { return false }
        let properties = Unicode.Scalar(value)!.properties
        if properties.isAlphabetic || properties.isJoinControl { return true }
        switch properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: return true
        default: return false
        }
    }

    private func startOfSpaces(before end: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var start = end
        while start > 0 {
            let scalar = text.scalar(before: start)
            guard ScalarClass(scalar.value) == .space else { break }
            start -= scalar.length
        }
        return start
    }

    private func endOfSpaces(after start: Int, in text: UnsafeBufferPointer<UInt8>) -> Int {
        var end = start
        while end < text.count {
            let scalar = text.scalar(at: end)
            guard ScalarClass(scalar.value) == .space else { break }
            end += scalar.length
        }
        return end
    }
}
