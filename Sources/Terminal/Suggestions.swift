/// "Did you mean": the known name that a mistyped one most likely stands for.
public enum Suggestions {
    /// Longer words are never typing mistakes, and the distance takes time and memory in proportion to their lengths.
    private static let longestWord = 64

    /// The candidate nearest to `word`, or nil if none is near enough to be what was meant.
    ///
    /// Near means at most one edit per three characters (at least one), or that one is the beginning of the other, so
    /// that `smollm2` finds `smollm2-135m`. Letter case does not count. Among equals the first candidate wins.
    public static func nearest(to word: String, in candidates: some Sequence<String>) -> String? {
        let typed = Array(word.lowercased())
        guard (1...longestWord).contains(typed.count) else { return nil }
        var best: (candidate: String, distance: Int)?
        for candidate in candidates {
            let known = Array(candidate.lowercased())
            guard (1...longestWord).contains(known.count) else { continue }
            let shorter = min(typed.count, known.count)
            let isBeginning = shorter >= 3 && typed.prefix(shorter) == known.prefix(shorter)
            let found = isBeginning ? 1 : distance(typed, known)
            guard found <= max(1, typed.count / 3), found < max(typed.count, known.count) else { continue }
            if best == nil || found < best!.distance { best = (candidate, found) }
        }
        return best?.candidate
    }

    /// The least number of insertions, deletions, substitutions and swaps of neighbours that turn `first` into
    /// `second`, no part being edited twice (the "optimal string alignment" form of the Damerau-Levenshtein distance).
    ///
    /// Source: Damerau, "A technique for computer detection and correction of spelling errors", CACM 7(3), 1964.
    /// - Complexity: O(first.count x second.count) time, O(second.count) memory.
    static func distance<Element: Equatable>(_ first: [Element], _ second: [Element]) -> Int {
        if first.isEmpty || second.isEmpty { return max(first.count, second.count) }
        var beforePrevious = [Int](repeating: 0, count: second.count + 1)
        var previous = Array(0...second.count)
        var current = beforePrevious
        for row in 1...first.count {
            current[0] = row
            for column in 1...second.count {
                let isSame = first[row - 1] == second[column - 1]
                var least = min(previous[column], current[column - 1]) + 1
                least = min(least, previous[column - 1] + (isSame ? 0 : 1))
                if row > 1, column > 1, first[row - 1] == second[column - 2], first[row - 2] == second[column - 1] {
                    least = min(least, beforePrevious[column - 2] + 1)
                }
                current[column] = least
            }
            (beforePrevious, previous, current) = (previous, current, beforePrevious)
        }
        return previous[second.count]
    }
}
