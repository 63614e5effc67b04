/// Joins neighbouring symbols until none may join any more, keeping its buffers from text to text.
///
/// Of all pairs of neighbours that may join, the one with the lowest rank does first, the leftmost among equals. Values
/// of the table have the rank in the upper half and the id of what the pair becomes in the lower; pairs that may not
/// join have the rank 2^32 - 1 or no value.
/// Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", arXiv:1508.07909.
struct PairMerger {
    /// A symbol of a long list, which is doubly linked.
    private struct Symbol {
        /// ``merged`` once the symbol has been joined to the one before it.
        var id: Int32
        /// Positions in `symbols`; -1 before the first, `symbols.count` after the last.
        var previous: Int32
        var next: Int32
    }

    /// A pair that may join.
    private struct Candidate: Comparable {
        /// The rank in the upper half, the position of the pair's left symbol in the lower: the smallest goes first.
        let order: UInt64
        let result: Int32

        static func < (first: Candidate, second: Candidate) -> Bool { first.order < second.order }
    }

    private static let merged = Int32.min
    /// Lists up to this length are searched through for every merge: no heap is as fast for a word.
    private static let shortCount = 40

    /// How many of the buffers' elements count; these are as long as they ever had to be.
    private(set) var count = 0
    /// The symbols; once merged, what became of them.
    private var ids = [Int32](repeating: 0, count: 64)
    /// For each symbol but the first: the table's value of the one before and it.
    private var values = [UInt64](repeating: PairTable.none, count: 64)
    private var symbols: [Symbol] = []
    private var candidates = Heap<Candidate>()

    static func value(rank: UInt32, result: Int32) -> UInt64 { UInt64(rank) << 32 | UInt64(UInt32(bitPattern: result)) }

    private static func rank(_ value: UInt64) -> UInt32 { UInt32(value >> 32) }

    private static func result(_ value: UInt64) -> Int32 { Int32(truncatingIfNeeded: value) }

    subscript(index: Int) -> Int32 { ids[index] }

    mutating func removeAll() { count = 0 }

    /// - Parameter value: the table's value of the last symbol and this one, if there is a last one.
    @inline(__always)
    mutating func append(_ id: Int32, valueWithLast value: UInt64) {
        if count == ids.count {
            ids += ids
            values += values
        }
        ids[count] = id
        values[count] = value
        count += 1
    }

    /// Joins what may join.
    /// - Parameter consider: called with every two symbols that come to be neighbours and with what they may become:
    ///   at first from left to right, then at each merge for its left end and for its right one.
    /// - Complexity: O(n log n).
    @inline(__always)
    mutating func merge(_ table: PairTable, considering consider: (Int32, Int32, Int32) -> Void = { _, _, _ in }) {
        guard count > 1 else { return }
        for index in 1..<count where PairMerger.rank(values[index]) < UInt32.max {
            consider(ids[index - 1], ids[index], PairMerger.result(values[index]))
        }
        if count <= PairMerger.shortCount {
            mergeShort(table, consider)
        } else {
            mergeLong(table, consider)
        }
    }

    @inline(__always)
    private mutating func mergeShort(_ table: PairTable, _ consider: (Int32, Int32, Int32) -> Void) {
        var count = count
        ids.withUnsafeMutableBufferPointer { ids in
            values.withUnsafeMutableBufferPointer { values in
                /// Looks a symbol and the one before it up.
                func look(at index: Int) {
                    values[index] = table.value(ids[index - 1], ids[index])
                    if PairMerger.rank(values[index]) < UInt32.max {
                        consider(ids[index - 1], ids[index], PairMerger.result(values[index]))
                    }
                }
                while true {
                    var best = 0
                    var rank = UInt32.max
                    for index in 1..<count where PairMerger.rank(values[index]) < rank {
                        best = index
                        rank = PairMerger.rank(values[index])
                    }
                    guard best > 0 else { break }
                    ids[best - 1] = PairMerger.result(values[best])
                    count -= 1
                    for index in best..<count {
                        ids[index] = ids[index + 1]
                        values[index] = values[index + 1]
                    }
                    if best > 1 { look(at: best - 1) }
                    if best < count { look(at: best) }
                }
            }
        }
        self.count = count
    }

    /// A binary heap finds the pair that goes first. Entries whose pair has changed since stay in it until they come
    /// up: a pair that still becomes the same token at the same place is the same pair.
    private mutating func mergeLong(_ table: PairTable, _ consider: (Int32, Int32, Int32) -> Void) {
        symbols.removeAll(keepingCapacity: true)
        symbols.reserveCapacity(count)
        candidates.removeAll()
        for index in 0..<count {
            symbols.append(Symbol(id: ids[index], previous: Int32(index) - 1, next: Int32(index) + 1))
            if index > 0 { insert(values[index], left: index - 1) }
        }
        while let candidate = candidates.popFirst() {
            let left = Int(UInt32(truncatingIfNeeded: candidate.order))
            let right = Int(symbols[left].next)
            // The entry's pair may be gone: merged away, or part of something longer by now.
            guard symbols[left].id != PairMerger.merged, right < symbols.count,
                case let value = table.value(symbols[left].id, symbols[right].id),
                PairMerger.rank(value) < UInt32.max, PairMerger.result(value) == candidate.result
            else { continue }
            let next = symbols[right].next
            symbols[left].id = candidate.result
            symbols[left].next = next
            symbols[right].id = PairMerger.merged
            let previous = Int(symbols[left].previous)
            if previous >= 0 { look(at: previous, left, table, consider) }
            if next < symbols.count {
                symbols[Int(next)].previous = Int32(left)
                look(at: left, Int(next), table, consider)
            }
        }
        count = 0
        for symbol in symbols where symbol.id != PairMerger.merged {
            ids[count] = symbol.id
            count += 1
        }
    }

    private mutating func look(
        at left: Int, _ right: Int, _ table: PairTable, _ consider: (Int32, Int32, Int32) -> Void
    ) {
        let value = table.value(symbols[left].id, symbols[right].id)
        guard PairMerger.rank(value) < UInt32.max else { return }
        consider(symbols[left].id, symbols[right].id, PairMerger.result(value))
        insert(value, left: left)
    }

    private mutating func insert(_ value: UInt64, left: Int) {
        guard PairMerger.rank(value) < UInt32.max else { return }
        candidates.insert(
            Candidate(
                order: UInt64(PairMerger.rank(value)) << 32 | UInt64(left), result: PairMerger.result(value)))
    }
}
