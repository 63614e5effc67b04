/// A set of characters, as a pattern writes it: `a`, `[^\s\p{L}]`, `\d`, `[\p{L}&&\p{Han}]`.
struct ScalarSet: Sendable {
    /// Bit n is set if the set has the character n; valid once ``prepared()`` was called.
    private var lowBits: UInt64 = 0
    private var highBits: UInt64 = 0
    private var ranges: [ClosedRange<UInt32>] = []
    private var kinds: ScalarKinds = []
    private var nested: [ScalarSet] = []
    /// What the set must have in common with, written `&&`.
    private var intersected: [ScalarSet] = []
    var isNegated = false

    init() {}

    init(_ value: UInt32) { ranges = [value...value] }

    init(kinds: ScalarKinds) { self.kinds = kinds }

    init(ranges: [ClosedRange<UInt32>], kinds: ScalarKinds = []) {
        self.ranges = ranges
        self.kinds = kinds
    }

    /// `\w`: letters, marks, decimal and letter numbers, connectors, and the circled letters, which are alphabetic.
    static let word = ScalarSet(
        ranges: [0x24B6...0x24E9, 0x1F130...0x1F149, 0x1F150...0x1F169, 0x1F170...0x1F189],
        kinds: [.letters, .marks, ScalarKinds(.decimalNumber, .letterNumber, .connectorPunctuation)])

    /// The same outside of brackets, where the engine takes six numbers of Latin-1 for word characters, too.
    static let wordAlone = ScalarSet(
        ranges: word.ranges + [0xB2...0xB3, 0xB9...0xB9, 0xBC...0xBE], kinds: word.kinds)

    mutating func insert(_ range: ClosedRange<UInt32>) { ranges.append(range) }

    mutating func insert(_ set: ScalarSet) {
        // Small sets within sets are joined, so that looking a character up takes one step.
        if set.nested.isEmpty && set.intersected.isEmpty && !set.isNegated {
            ranges += set.ranges
            kinds.formUnion(set.kinds)
        } else if set.nested.isEmpty && set.intersected.isEmpty && set.ranges.isEmpty {
            kinds.formUnion(ScalarKinds.all.subtracting(set.kinds))
        } else {
            nested.append(set)
        }
    }

    mutating func intersect(with set: ScalarSet) { intersected.append(set) }

    /// Adds the letters that differ from members only in case; `ſ` and the Kelvin sign are those beyond ASCII.
    /// - Returns: false if the set has members whose other cases are not known here.
    mutating func ignoreCase() -> Bool {
        var added: [ClosedRange<UInt32>] = []
        for range in ranges {
            let foldable = range.upperBound < 0x80 || range == 0x2019...0x2019
            guard foldable else { return false }
            for value in range {
                let lower = value | 0x20
                guard value < 0x80, (0x61...0x7A).contains(lower) else { continue }
                added.append(lower...lower)
                added.append(lower - 0x20...lower - 0x20)
                if lower == 0x73 { added.append(0x17F...0x17F) }
                if lower == 0x6B { added.append(0x212A...0x212A) }
            }
        }
        ranges += added
        let cased = ScalarKinds(.uppercaseLetter, .lowercaseLetter, .titlecaseLetter)
        guard kinds.isDisjoint(with: cased) || kinds.isSuperset(of: cased) else { return false }
        return nested.isEmpty && intersected.isEmpty
    }

    /// The one ASCII letter of the set if it has one in one or both cases, in lower case.
    var letter: UInt8? {
        guard kinds.isEmpty, nested.isEmpty, intersected.isEmpty, !isNegated, let first = ranges.first else {
            return nil
        }
        let lower = first.lowerBound | 0x20
        return (0x61...0x7A).contains(lower) && first.count == 1 && first.lowerBound < 0x80 ? UInt8(lower) : nil
    }

    /// The character, if the set is written as only one.
    var single: UInt32? {
        guard kinds.isEmpty, nested.isEmpty, intersected.isEmpty, !isNegated, ranges.count == 1 else { return nil }
        return ranges[0].count == 1 ? ranges[0].lowerBound : nil
    }

    /// The set, ready for look-ups.
    func prepared() -> ScalarSet {
        var set = self
        set.ranges.sort { $0.lowerBound < $1.lowerBound }
        var joined: [ClosedRange<UInt32>] = []
        for range in set.ranges {
            if let last = joined.last, range.lowerBound <= last.upperBound &+ 1 {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        set.ranges = joined
        set.nested = nested.map { $0.prepared() }
        set.intersected = intersected.map { $0.prepared() }
        for value in UInt32(0)..<128 where set.search(value) {
            if value < 64 { set.lowBits |= 1 << UInt64(value) } else { set.highBits |= 1 << UInt64(value - 64) }
        }
        return set
    }

    /// - Complexity: O(1) below U+0080, else O(log ranges).
    @inline(__always)
    func contains(_ value: UInt32) -> Bool {
        if value < 64 { return lowBits >> UInt64(value) & 1 == 1 }
        if value < 128 { return highBits >> UInt64(value - 64) & 1 == 1 }
        return search(value)
    }

    private func search(_ value: UInt32) -> Bool {
        var inside = isInRanges(value) || (!kinds.isEmpty && kinds.has(ScalarKind(value)))
        if !inside { inside = nested.contains { $0.search(value) } }
        if inside { inside = intersected.allSatisfy { $0.search(value) } }
        return inside != isNegated
    }

    private func isInRanges(_ value: UInt32) -> Bool {
        var low = 0
        var high = ranges.count
        while low < high {
            let middle = (low + high) / 2
            if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
        }
        return low < ranges.count && ranges[low].lowerBound <= value
    }
}
