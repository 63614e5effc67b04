// MARK: - Escapes and sets of characters

extension PatternParser {
    /// A backslash and what follows, outside brackets.
    mutating func escape() throws(TokenizerError) -> PatternNode {
        if take("\\b") { return .assertion(.wordBoundary) }
        if take("\\B") { return .assertion(.noWordBoundary) }
        if take("\\A") { return .assertion(.textStart) }
        if take("\\z") { return .assertion(.textEnd) }
        if take("\\Z") { return .assertion(.textEndOrLastLineFeed) }
        if let digit = scalars(at: 1), (0x30...0x39).contains(digit) { throw failure("a reference to a capture") }
        if take("\\w") { return .set(.wordAlone) }
        if take("\\W") {
            var set = ScalarSet.wordAlone
            set.isNegated = true
            return .set(set)
        }
        return .set(try cased(try escapedSet()))
    }

    private func scalars(at offset: Int) -> UInt32? {
        var copy = self
        for _ in 0..<offset { _ = try? copy.next() }
        return copy.current
    }

    /// A backslash and what follows, where a set of characters is meant.
    private mutating func escapedSet() throws(TokenizerError) -> ScalarSet {
        _ = try next()
        let value = try next()
        func set(_ kinds: ScalarKinds, negated: Bool = false) -> ScalarSet {
            var set = ScalarSet(kinds: kinds)
            set.isNegated = negated
            return set
        }
        switch Unicode.Scalar(value)! {
        case "s": return set(.spaces)
        case "S": return set(.spaces, negated: true)
        case "d": return set(ScalarKinds(.decimalNumber))
        case "D": return set(ScalarKinds(.decimalNumber), negated: true)
        case "w": return .word
        case "W":
            var set = ScalarSet.word
            set.isNegated = true
            return set
        case "h": return ScalarSet(ranges: [0x30...0x39, 0x41...0x46, 0x61...0x66])
        case "p": return try property(negated: false)
        case "P": return try property(negated: true)
        case "t": return ScalarSet(0x09)
        case "n": return ScalarSet(0x0A)
        case "v": return ScalarSet(0x0B)
        case "f": return ScalarSet(0x0C)
        case "r": return ScalarSet(0x0D)
        case "a": return ScalarSet(0x07)
        case "e": return ScalarSet(0x1B)
        case "u": return ScalarSet(try scalar(digits: 4...4))
        case "x":
            if take("{") {
                let set = ScalarSet(try scalar(digits: 1...8))
                guard take("}") else { throw failure("a '\\x{' without an end") }
                return set
            }
            let value = try scalar(digits: 1...2)
            // Two digits from 80 on are a byte, not a character.
            guard value < 0x80 else { throw failure("a byte of a character") }
            return ScalarSet(value)
        case "0"..."9", "A"..."Z", "a"..."z": throw failure("the escape '\\\(Unicode.Scalar(value)!)'")
        default: return ScalarSet(value)
        }
    }

    private mutating func scalar(digits: ClosedRange<Int>) throws(TokenizerError) -> UInt32 {
        var value: UInt32 = 0
        var count = 0
        while count < digits.upperBound, let current,
            let digit = Character(Unicode.Scalar(current)!).hexDigitValue, current < 0x80
        {
            value = value << 4 | UInt32(digit)
            count += 1
            _ = try next()
        }
        guard digits.contains(count), Unicode.Scalar(value) != nil else { throw failure("a number of no character") }
        return value
    }

    /// `{L}`, `{^L}` or `{Han}` behind `\p` or `\P`.
    private mutating func property(negated: Bool) throws(TokenizerError) -> ScalarSet {
        guard take("{") else { throw failure("a '\\p' without a name in braces") }
        let isInverted = take("^")
        var name = ""
        while let value = current, value != UInt32(ascii: "}"), name.utf8.count < 64 {
            name.unicodeScalars.append(Unicode.Scalar(value)!)
            _ = try next()
        }
        guard take("}") else { throw failure("a '\\p{' without an end") }
        var set: ScalarSet
        if let kinds = ScalarKinds(categoryName: name) {
            set = ScalarSet(kinds: kinds)
        } else if let ranges = ScalarScript.ranges[name.lowercased()] {
            set = ScalarSet(ranges: ranges)
        } else {
            throw failure("the property \(name.quoted)")
        }
        set.isNegated = negated != isInverted
        return set
    }

    /// The set in brackets, behind the opening one.
    mutating func bracket() throws(TokenizerError) -> ScalarSet {
        var set = ScalarSet()
        let isNegated = take("^")
        var operands: [ScalarSet] = []
        var isFirst = true
        while true {
            guard let value = current else { throw failure("a '[' without an end") }
            if value == UInt32(ascii: "]") && !isFirst {
                _ = try next()
                break
            }
            isFirst = false
            if take("&&") {
                operands.append(set)
                set = ScalarSet()
            } else if take("[:") {
                throw failure("a set by a name of POSIX")
            } else if take("[") {
                set.insert(try nestedBracket())
            } else {
                try insertItem(into: &set)
            }
        }
        for operand in operands { set.intersect(with: operand) }
        set.isNegated = isNegated
        return set
    }

    private mutating func nestedBracket() throws(TokenizerError) -> ScalarSet {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= PatternParser.maximumDepth else { throw failure("sets nested too deeply") }
        return try bracket()
    }

    /// A character, a range of them, or an escape that stands for many.
    private mutating func insertItem(into set: inout ScalarSet) throws(TokenizerError) {
        let (first, value) = try setItem()
        guard let value, current == UInt32(ascii: "-"), let end = scalars(at: 1), end != UInt32(ascii: "]") else {
            return set.insert(try cased(first))
        }
        _ = try next()
        guard end != UInt32(ascii: "["), let last = try setItem().value else { throw failure("a range without an end") }
        guard value <= last else { throw failure("a range that ends before it starts") }
        set.insert(try cased(ScalarSet(ranges: [value...last])))
    }

    /// - Returns: the set, and the character if it has only one.
    private mutating func setItem() throws(TokenizerError) -> (set: ScalarSet, value: UInt32?) {
        guard current == UInt32(ascii: "\\") else {
            let value = try next()
            return (ScalarSet(value), value)
        }
        if take("\\b") { return (ScalarSet(0x08), 0x08) }
        let set = try escapedSet()
        return (set, set.single)
    }
}

/// The characters of a few scripts, those that patterns name; of Unicode 16.
/// Source: Unicode Standard Annex #24.
enum ScalarScript {
    static let ranges: [String: [ClosedRange<UInt32>]] = [
        "han": [
            0x2E80...0x2E99, 0x2E9B...0x2EF3, 0x2F00...0x2FD5, 0x3005...0x3005, 0x3007...0x3007, 0x3021...0x3029,
            0x3038...0x303B, 0x3400...0x4DBF, 0x4E00...0x9FFF, 0xF900...0xFA6D, 0xFA70...0xFAD9, 0x16FE2...0x16FE3,
            0x16FF0...0x16FF1, 0x20000...0x2A6DF, 0x2A700...0x2B739, 0x2B740...0x2B81D, 0x2B820...0x2CEA1,
            0x2CEB0...0x2EBE0, 0x2EBF0...0x2EE5D, 0x2F800...0x2FA1D, 0x30000...0x3134A, 0x31350...0x323AF,
        ],
        "hiragana": [
            0x3041...0x3096, 0x309D...0x309F, 0x1B001...0x1B11F, 0x1B132...0x1B132, 0x1B150...0x1B152,
            0x1F200...0x1F200,
        ],
        "katakana": [
            0x30A1...0x30FA, 0x30FD...0x30FF, 0x31F0...0x31FF, 0x32D0...0x32FE, 0x3300...0x3357, 0xFF66...0xFF6F,
            0xFF71...0xFF9D, 0x1AFF0...0x1AFF3, 0x1AFF5...0x1AFFB, 0x1AFFD...0x1AFFE, 0x1B000...0x1B000,
            0x1B120...0x1B122, 0x1B155...0x1B155, 0x1B164...0x1B167,
        ],
        "hangul": [
            0x1100...0x11FF, 0x302E...0x302F, 0x3131...0x318E, 0x3200...0x321E, 0x3260...0x327E, 0xA960...0xA97C,
            0xAC00...0xD7A3, 0xD7B0...0xD7C6, 0xD7CB...0xD7FB, 0xFFA0...0xFFBE, 0xFFC2...0xFFC7, 0xFFCA...0xFFCF,
            0xFFD2...0xFFD7, 0xFFDA...0xFFDC,
        ],
    ]
}
