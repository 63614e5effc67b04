/// A parsed pattern.
indirect enum PatternNode {
    case empty
    /// One character of a set.
    case set(ScalarSet)
    case sequence([PatternNode])
    /// The first that leads to a match.
    case choice([PatternNode])
    /// - `maximum`: nil for no limit.
    case repetition(PatternNode, minimum: Int, maximum: Int?, Repetition)
    case assertion(PatternAssertion)
    /// `(?=..)`, `(?!..)`
    case lookahead(PatternNode, isNegated: Bool)
    /// `(?<=.)`, `(?<!.)`: one character.
    case lookbehind(ScalarSet, isNegated: Bool)
    /// `(?>..)`
    case atomic(PatternNode)

    enum Repetition { case greedy, lazy, possessive }

    /// How many characters a match has at most; nil if there is no limit.
    var maximumLength: Int? {
        func sum(_ lengths: [Int?]) -> Int? {
            lengths.reduce(0) { total, length in
                guard let total, let length else { return nil }
                return total.addingReportingOverflow(length).overflow ? nil : total + length
            }
        }
        switch self {
        case .empty, .assertion, .lookahead, .lookbehind: return 0
        case .set: return 1
        case .sequence(let nodes): return sum(nodes.map(\.maximumLength))
        case .choice(let nodes):
            let lengths = nodes.map(\.maximumLength)
            return lengths.contains { $0 == nil } ? nil : lengths.compactMap(\.self).max() ?? 0
        case .repetition(let node, _, let maximum, _):
            guard let maximum, let length = node.maximumLength else { return node.maximumLength == 0 ? 0 : nil }
            let (product, overflow) = length.multipliedReportingOverflow(by: maximum)
            return overflow ? nil : product
        case .atomic(let node): return node.maximumLength
        }
    }

    /// Whether a match may have no characters.
    var canBeEmpty: Bool {
        switch self {
        case .empty, .assertion, .lookahead, .lookbehind: true
        case .set: false
        case .sequence(let nodes): nodes.allSatisfy(\.canBeEmpty)
        case .choice(let nodes): nodes.contains(where: \.canBeEmpty)
        case .repetition(let node, let minimum, _, _): minimum == 0 || node.canBeEmpty
        case .atomic(let node): node.canBeEmpty
        }
    }
}

/// What holds between two characters.
enum PatternAssertion {
    /// `^`: at the start or behind a line feed.
    case lineStart
    /// `$`: at the end or before a line feed.
    case lineEnd
    /// `\A`
    case textStart
    /// `\z`
    case textEnd
    /// `\Z`: at the end or before a last line feed.
    case textEndOrLastLineFeed
    /// `\b`
    case wordBoundary
    /// `\B`
    case noWordBoundary
}
