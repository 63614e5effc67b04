/// A text that is being cut into pieces, and changed on the way.
struct PieceList {
    /// Valid UTF-8.
    private(set) var bytes: [UInt8]
    /// In ascending order, without overlap, none empty; what lies between them was removed.
    private(set) var pieces: [Range<Int>]
    /// Whether the first piece begins where the whole text that is encoded begins.
    private(set) var startsText: Bool

    init(_ bytes: [UInt8], startsText: Bool) {
        self.bytes = bytes
        self.startsText = startsText
        pieces = bytes.isEmpty ? [] : [bytes.indices]
    }

    /// Cuts every piece at matches.
    /// - Parameter match: finds the matches in a piece, as ``Pattern/matches(in:)`` does.
    mutating func split(
        _ behavior: SplitBehavior, isInverted: Bool = false,
        match: (UnsafeBufferPointer<UInt8>) -> [Range<Int>]
    ) {
        var result: [Range<Int>] = []
        result.reserveCapacity(pieces.count)
        let first = pieces.first?.lowerBound
        bytes.withUnsafeBufferPointer { bytes in
            for piece in pieces {
                let text = UnsafeBufferPointer(rebasing: bytes[piece])
                for part in behavior.parts(of: text.count, match(text), isInverted: isInverted) where !part.isEmpty {
                    result.append(part.lowerBound + piece.lowerBound..<part.upperBound + piece.lowerBound)
                }
            }
        }
        pieces = result
        if first != pieces.first?.lowerBound { startsText = false }
    }

    /// Cuts every piece into pieces that a scanner finds.
    mutating func split(as preTokenizer: PreTokenizer) {
        var result: [Range<Int>] = []
        bytes.withUnsafeBufferPointer { bytes in
            for piece in pieces {
                var scanner = PieceScanner(UnsafeBufferPointer(rebasing: bytes[piece]), preTokenizer: preTokenizer)
                while let part = scanner.next() {
                    result.append(part.lowerBound + piece.lowerBound..<part.upperBound + piece.lowerBound)
                }
            }
        }
        pieces = result
    }

    /// Replaces every piece by what `change` makes of it.
    /// - Parameter change: gets a piece, and whether it is the text's first, and appends to its last argument.
    mutating func rewrite(_ change: (UnsafeBufferPointer<UInt8>, Bool, inout [UInt8]) -> Void) {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count + pieces.count)
        var ranges: [Range<Int>] = []
        ranges.reserveCapacity(pieces.count)
        bytes.withUnsafeBufferPointer { bytes in
            for (index, piece) in pieces.enumerated() {
                let start = result.count
                change(UnsafeBufferPointer(rebasing: bytes[piece]), index == 0 && startsText, &result)
                if start < result.count { ranges.append(start..<result.count) }
            }
        }
        bytes = result
        pieces = ranges
    }
}

/// What happens to the matches that a text is cut at; the names are those of the `tokenizers` package.
enum SplitBehavior: String, CaseIterable, Sendable {
    case removed = "Removed"
    case isolated = "Isolated"
    case mergedWithPrevious = "MergedWithPrevious"
    case mergedWithNext = "MergedWithNext"
    case contiguous = "Contiguous"

    /// The parts of a text of `count` bytes; some may be empty.
    func parts(of count: Int, _ matches: [Range<Int>], isInverted: Bool) -> [Range<Int>] {
        guard count > 0 else { return [] }
        var all: [(range: Range<Int>, isMatch: Bool)] = []
        all.reserveCapacity(2 * matches.count + 1)
        var end = 0
        for match in matches {
            if end < match.lowerBound { all.append((end..<match.lowerBound, isInverted)) }
            all.append((match, !isInverted))
            end = match.upperBound
        }
        if end < count { all.append((end..<count, isInverted)) }
        switch self {
        case .isolated: return all.map(\.range)
        case .removed: return all.filter { !$0.isMatch }.map(\.range)
        case .contiguous: return joined(all) { $0 == $1 }
        case .mergedWithPrevious: return joined(all) { isMatch, follows in isMatch && !follows }
        case .mergedWithNext:
            let reversed = joined(all.reversed()) { isMatch, follows in isMatch && !follows }
            return reversed.reversed()
        }
    }

    /// Joins each part with the one before it where `joins` says so of it and of the one before: whether they are
    /// matches. Before the first comes no match.
    private func joined(
        _ parts: [(range: Range<Int>, isMatch: Bool)], _ joins: (Bool, Bool) -> Bool
    ) -> [Range<Int>] {
        var result: [Range<Int>] = []
        var previous = false
        for part in parts {
            if joins(part.isMatch, previous), let last = result.last {
                result[result.count - 1] =
                    min(last.lowerBound, part.range.lowerBound)..<max(last.upperBound, part.range.upperBound)
            } else {
                result.append(part.range)
            }
            previous = part.isMatch
        }
        return result
    }
}
