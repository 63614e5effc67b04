/// Reads a regular expression in the syntax of Oniguruma (Ruby's), which the `tokenizers` package uses.
///
/// What that engine does and we don't is refused by name: captures that are referred to, looking behind more than one
/// character, sets by names of POSIX, most scripts, other cases of letters beyond ASCII.
struct PatternParser {
    /// Longer patterns are refused; the longest in the wild has about two thousand characters.
    static let maximumLength = 16_384
    static let maximumDepth = 32
    static let maximumCount = 1_000

    private let scalars: [UInt32]
    private var position = 0
    private var depth = 0
    /// How many brackets are open around the current one.
    var nesting = 0
    private(set) var ignoresCase = false

    static func parse(_ text: String) throws(TokenizerError) -> PatternNode {
        var parser = PatternParser(scalars: text.unicodeScalars.map(\.value))
        guard parser.scalars.count <= maximumLength else {
            throw TokenizerError("a pattern has \(parser.scalars.count) characters, expected at most \(maximumLength)")
        }
        let node = try parser.choice()
        guard parser.position == parser.scalars.count else { throw parser.failure("an unexpected ')'") }
        return node
    }

    private init(scalars: [UInt32]) { self.scalars = scalars }

    func failure(_ what: String) -> TokenizerError {
        let text = String(String.UnicodeScalarView(scalars.map { Unicode.Scalar($0)! }))
        return TokenizerError("the pattern \(text.quoted) has \(what) at character \(position), which is not supported")
    }

    // MARK: Reading characters

    var current: UInt32? { position < scalars.count ? scalars[position] : nil }

    mutating func next() throws(TokenizerError) -> UInt32 {
        guard let value = current else { throw failure("an end in the middle") }
        position += 1
        return value
    }

    mutating func take(_ text: String) -> Bool {
        let expected = text.unicodeScalars.map(\.value)
        guard position + expected.count <= scalars.count,
            scalars[position..<position + expected.count].elementsEqual(expected)
        else { return false }
        position += expected.count
        return true
    }

    // MARK: Structure

    private mutating func choice() throws(TokenizerError) -> PatternNode {
        depth += 1
        defer { depth -= 1 }
        guard depth <= PatternParser.maximumDepth else { throw failure("groups nested too deeply") }
        let outerCase = ignoresCase
        defer { ignoresCase = outerCase }
        var branches = [try sequence()]
        while take("|") { branches.append(try sequence()) }
        return branches.count == 1 ? branches[0] : .choice(branches)
    }

    private mutating func sequence() throws(TokenizerError) -> PatternNode {
        var nodes: [PatternNode] = []
        var previousLetter: UInt8?
        while let value = current, value != UInt32(ascii: "|"), value != UInt32(ascii: ")") {
            // `(?i)` holds up to the end of the group.
            if take("(?i)") {
                ignoresCase = true
                continue
            }
            let atom = try self.atom()
            let letter = try checkLetterPair(previousLetter, atom)
            let node = try repetition(of: atom)
            if case .set = node { previousLetter = letter } else { previousLetter = nil }
            nodes.append(node)
        }
        return nodes.count == 1 ? nodes[0] : nodes.isEmpty ? .empty : .sequence(nodes)
    }

    /// Ligatures are other cases of two letters: `(?i:ss)` is `ß`, too.
    private func checkLetterPair(_ previous: UInt8?, _ atom: PatternNode) throws(TokenizerError) -> UInt8? {
        guard ignoresCase, case .set(let set) = atom, let letter = set.letter else { return nil }
        if let previous, ["ss", "st", "ff", "fi", "fl"].contains(String(decoding: [previous, letter], as: UTF8.self)) {
            throw failure("letters that have a ligature, with cases ignored,")
        }
        return letter
    }

    private mutating func repetition(of atom: PatternNode) throws(TokenizerError) -> PatternNode {
        guard let (minimum, maximum, isInterval) = try count() else { return atom }
        var kind = PatternNode.Repetition.greedy
        if isInterval {
            // In this syntax `{2}?` and `{2}+` repeat the repetition.
            if current == UInt32(ascii: "?") {
                guard minimum != maximum else { throw failure("'?' behind a fixed count") }
                position += 1
                kind = .lazy
            }
        } else if take("?") {
            kind = .lazy
        } else if take("+") {
            kind = .possessive
        }
        guard maximum != nil || !atom.canBeEmpty else { throw failure("a repetition of what can be empty") }
        var node = PatternNode.repetition(atom, minimum: minimum, maximum: maximum, kind)
        if isInterval, kind == .greedy, take("+") {
            guard !node.canBeEmpty else { throw failure("a repetition of what can be empty") }
            node = .repetition(node, minimum: 1, maximum: nil, .greedy)
        }
        if let value = current, [UInt32(ascii: "*"), UInt32(ascii: "+"), UInt32(ascii: "?")].contains(value) {
            throw failure("a repetition of a repetition")
        }
        return node
    }

    /// `*`, `+`, `?`, `{n}`, `{n,}`, `{,m}` or `{n,m}`.
    private mutating func count() throws(TokenizerError) -> (minimum: Int, maximum: Int?, isInterval: Bool)? {
        if take("*") { return (0, nil, false) }
        if take("+") { return (1, nil, false) }
        if take("?") { return (0, 1, false) }
        guard take("{") else { return nil }
        let minimum = try number()
        var maximum = minimum
        if take(",") {
            maximum = try number()
            guard minimum != nil || maximum != nil else { throw failure("a '{' without a count") }
        }
        guard take("}"), minimum != nil || maximum != nil else { throw failure("a '{' without a count") }
        guard maximum ?? .max >= minimum ?? 0 else { throw failure("a count that ends before it starts") }
        return (minimum ?? 0, maximum, true)
    }

    private mutating func number() throws(TokenizerError) -> Int? {
        var value: Int?
        while let digit = current, (0x30...0x39).contains(digit) {
            position += 1
            value = (value ?? 0) * 10 + Int(digit - 0x30)
            guard value! <= PatternParser.maximumCount else {
                throw failure("a count above \(PatternParser.maximumCount)")
            }
        }
        return value
    }

    private mutating func atom() throws(TokenizerError) -> PatternNode {
        switch current {
        case UInt32(ascii: "("): return try group()
        case UInt32(ascii: "["):
            position += 1
            return .set(try bracket())
        case UInt32(ascii: "\\"): return try escape()
        case UInt32(ascii: "."):
            position += 1
            var set = ScalarSet(0x0A)
            set.isNegated = true
            return .set(set)
        case UInt32(ascii: "^"):
            position += 1
            return .assertion(.lineStart)
        case UInt32(ascii: "$"):
            position += 1
            return .assertion(.lineEnd)
        case UInt32(ascii: "*"), UInt32(ascii: "+"), UInt32(ascii: "?"): throw failure("a repetition of nothing")
        default: return .set(try cased(ScalarSet(try next())))
        }
    }

    private mutating func group() throws(TokenizerError) -> PatternNode {
        let outerCase = ignoresCase
        defer { ignoresCase = outerCase }
        var wrap: (PatternNode) -> PatternNode = { $0 }
        if take("(?:") {
        } else if take("(?=") {
            wrap = { .lookahead($0, isNegated: false) }
        } else if take("(?!") {
            wrap = { .lookahead($0, isNegated: true) }
        } else if take("(?<=") {
            return try lookbehind(isNegated: false)
        } else if take("(?<!") {
            return try lookbehind(isNegated: true)
        } else if take("(?>") {
            wrap = { .atomic($0) }
        } else if take("(?i:") {
            ignoresCase = true
        } else if take("(?-i:") {
            ignoresCase = false
        } else if take("(?") {
            throw failure("a group of an unknown kind")
        } else {
            position += 1  // a capture: nothing refers to it
        }
        let node = try choice()
        guard take(")") else { throw failure("a group without an end") }
        return wrap(node)
    }

    private mutating func lookbehind(isNegated: Bool) throws(TokenizerError) -> PatternNode {
        let node = try choice()
        guard take(")") else { throw failure("a group without an end") }
        switch node {
        case .set(let set): return .lookbehind(set, isNegated: isNegated)
        case .assertion(.lineStart), .assertion(.textStart):
            return isNegated ? .lookahead(node, isNegated: true) : node
        case .choice(let nodes):
            var joined = ScalarSet()
            for case .set(let set) in nodes { joined.insert(set) }
            guard nodes.allSatisfy({ if case .set = $0 { true } else { false } }) else { break }
            return .lookbehind(joined, isNegated: isNegated)
        default: break
        }
        throw failure("looking behind more than a character")
    }

    func cased(_ set: ScalarSet) throws(TokenizerError) -> ScalarSet {
        guard ignoresCase else { return set }
        var set = set
        guard set.ignoreCase() else { throw failure("ignored cases beyond ASCII") }
        return set
    }
}

extension UInt32 {
    init(ascii scalar: Unicode.Scalar) { self = scalar.value }
}
