/// Merges the bytes of one piece of text into tokens, keeping its buffers from piece to piece.
///
/// Of all pairs of neighbours that may merge, the one with the lowest rank merges first, the leftmost among equals. A
/// binary heap finds it, so a piece of n bytes takes O(n log n) time, whatever it holds. Entries whose pair has changed
/// since stay in the heap until they come up: a pair that still becomes the same token at the same place is the same
/// pair.
/// Source: Sennrich, Haddow, Birch, "Neural Machine Translation of Rare Words with Subword Units", arXiv:1508.07909.
struct BytePairMerger {
    /// A token so far; symbols are a doubly linked list in `symbols`.
    private struct Symbol {
        /// -1 once the symbol has been merged into the one before it.
        var id: Int32
        /// Positions in `symbols`; -1 before the first, `symbols.count` after the last.
        var previous: Int32
        var next: Int32
    }

    /// A pair that may merge.
    private struct Candidate {
        /// The rank in the upper half, the position of the pair's left symbol in the lower: the smallest goes first.
        let order: UInt64
        let result: Int32
    }

    private let definition: TokenizerDefinition
    private var symbols: [Symbol] = []
    private var candidates: [Candidate] = []

    init(definition: TokenizerDefinition) { self.definition = definition }

    /// Appends the tokens of `piece` to `output`.
    mutating func encode(_ piece: UnsafeBufferPointer<UInt8>, into output: inout [Int]) {
        let byteTokens = definition.vocabulary.byteTokens
        if piece.count == 1, byteTokens[Int(piece[0])] >= 0 {
            output.append(Int(byteTokens[Int(piece[0])]))
            return
        }
        if definition.options.ignoresMerges, let id = definition.vocabulary.id(of: piece),
            !definition.specialIDs.contains(Int(id))
        {
            output.append(Int(id))
            return
        }
        fillSymbols(from: piece, byteTokens: byteTokens)
        mergeAll()
        for symbol in symbols where symbol.id >= 0 { output.append(Int(symbol.id)) }
    }

    /// One symbol per byte. A byte without a token of its own is dropped, or becomes the token for missing bytes.
    private mutating func fillSymbols(from piece: UnsafeBufferPointer<UInt8>, byteTokens: [Int32]) {
        symbols.removeAll(keepingCapacity: true)
        symbols.reserveCapacity(piece.count)
        var followsMissing = false
        for byte in piece {
            let id = byteTokens[Int(byte)]
            if id >= 0 {
                append(id)
            } else if let missing = definition.options.missingByteToken,
                !(followsMissing && definition.options.fusesMissingBytes)
            {
                append(Int32(missing))
            }
            followsMissing = id < 0
        }
    }

    private mutating func append(_ id: Int32) {
        let position = Int32(symbols.count)
        symbols.append(Symbol(id: id, previous: position - 1, next: position + 1))
    }

    private mutating func mergeAll() {
        candidates.removeAll(keepingCapacity: true)
        for left in 0..<max(0, symbols.count - 1) { consider(left: left, right: left + 1) }

        while let candidate = popCandidate() {
            let left = Int(UInt32(truncatingIfNeeded: candidate.order))
            let right = Int(symbols[left].next)
            // The entry's pair may be gone: merged away, or part of something longer by now.
            guard symbols[left].id >= 0, right < symbols.count,
                definition.merges.merge(symbols[left].id, symbols[right].id)?.result == candidate.result
            else { continue }
            let next = symbols[right].next
            symbols[left].id = candidate.result
            symbols[left].next = next
            symbols[right].id = -1
            if next < symbols.count {
                symbols[Int(next)].previous = Int32(left)
                consider(left: left, right: Int(next))
            }
            if symbols[left].previous >= 0 { consider(left: Int(symbols[left].previous), right: left) }
        }
    }

    private mutating func consider(left: Int, right: Int) {
        guard let merge = definition.merges.merge(symbols[left].id, symbols[right].id) else { return }
        pushCandidate(Candidate(order: UInt64(merge.rank) << 32 | UInt64(left), result: merge.result))
    }
}

// MARK: - The heap: no candidate's order is smaller than that of its parent at (index - 1) / 2.

extension BytePairMerger {
    private mutating func pushCandidate(_ candidate: Candidate) {
        var index = candidates.count
        candidates.append(candidate)
        while index > 0 {
            let parent = (index - 1) / 2
            guard candidate.order < candidates[parent].order else { break }
            candidates[index] = candidates[parent]
            index = parent
        }
        candidates[index] = candidate
    }

    private mutating func popCandidate() -> Candidate? {
        guard let last = candidates.popLast() else { return nil }
        guard let first = candidates.first else { return last }
        var index = 0
        while true {
            var child = 2 * index + 1
            guard child < candidates.count else { break }
            if child + 1 < candidates.count, candidates[child + 1].order < candidates[child].order { child += 1 }
            guard candidates[child].order < last.order else { break }
            candidates[index] = candidates[child]
            index = child
        }
        candidates[index] = last
        return first
    }
}
