/// Merges the bytes or characters of one piece of text into tokens, keeping its buffers from piece to piece.
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
    private struct Candidate: Comparable {
        /// The rank in the upper half, the position of the pair's left symbol in the lower: the smallest goes first.
        let order: UInt64
        let result: Int32

        static func < (first: Candidate, second: Candidate) -> Bool { first.order < second.order }
    }

    private let rules: BytePairRules
    private let vocabulary: Vocabulary
    private let specialIDs: Set<Int>
    private var symbols: [Symbol] = []
    private var candidates = Heap<Candidate>()

    /// - Parameter specialIDs: tokens that are no text.
    init(_ rules: BytePairRules, vocabulary: Vocabulary, specialIDs: Set<Int>) {
        self.rules = rules
        self.vocabulary = vocabulary
        self.specialIDs = specialIDs
    }

    /// Appends the tokens of `piece` to `output`.
    mutating func encode(_ piece: UnsafeBufferPointer<UInt8>, into output: inout [Int]) {
        if case .bytes = rules.units, piece.count == 1, vocabulary.byteTokens[Int(piece[0])] >= 0 {
            output.append(Int(vocabulary.byteTokens[Int(piece[0])]))
            return
        }
        if rules.ignoresMerges, let id = vocabulary.id(of: piece), !specialIDs.contains(Int(id)) {
            output.append(Int(id))
            return
        }
        symbols.removeAll(keepingCapacity: true)
        symbols.reserveCapacity(piece.count)
        switch rules.units {
        case .bytes: fillSymbols(fromBytesOf: piece)
        case .characters(let fallsBackToBytes):
            fillSymbols(fromCharactersOf: piece, fallsBackToBytes: fallsBackToBytes)
        }
        mergeAll()
        for symbol in symbols where symbol.id >= 0 { output.append(Int(symbol.id)) }
    }

    /// One symbol per byte. A byte without a token of its own is dropped, or becomes the unknown token.
    private mutating func fillSymbols(fromBytesOf piece: UnsafeBufferPointer<UInt8>) {
        var followsUnknown = false
        for byte in piece {
            let id = vocabulary.byteTokens[Int(byte)]
            if id >= 0 {
                append(id)
            } else if let unknown = rules.unknownToken, !(followsUnknown && rules.fusesUnknown) {
                append(Int32(unknown))
            }
            followsUnknown = id < 0
        }
    }

    /// One symbol per character, or its bytes'.
    ///
    /// An unknown token comes when the next known character does: bytes that come between go before it, as in the
    /// `tokenizers` package.
    private mutating func fillSymbols(
        fromCharactersOf piece: UnsafeBufferPointer<UInt8>, fallsBackToBytes: Bool
    ) {
        var isUnknownPending = false
        var character: [UInt8] = []
        var position = 0
        while position < piece.count {
            let end = position + piece.scalar(at: position).length
            let id: Int32?
            if rules.prefix.isEmpty && rules.suffix.isEmpty {
                id = vocabulary.id(of: UnsafeBufferPointer(rebasing: piece[position..<end]))
            } else {
                character = (position > 0 ? rules.prefix : []) + piece[position..<end]
                if end == piece.count { character += rules.suffix }
                id = vocabulary.id(of: character)
            }
            if let id {
                if isUnknownPending, let unknown = rules.unknownToken { append(Int32(unknown)) }
                isUnknownPending = false
                append(id)
            } else if fallsBackToBytes, piece[position..<end].allSatisfy({ vocabulary.byteTokens[Int($0)] >= 0 }) {
                for byte in piece[position..<end] { append(vocabulary.byteTokens[Int(byte)]) }
            } else if let unknown = rules.unknownToken {
                if isUnknownPending && !rules.fusesUnknown { append(Int32(unknown)) }
                isUnknownPending = true
            }
            position = end
        }
        if isUnknownPending, let unknown = rules.unknownToken { append(Int32(unknown)) }
    }

    private mutating func append(_ id: Int32) {
        let position = Int32(symbols.count)
        symbols.append(Symbol(id: id, previous: position - 1, next: position + 1))
    }

    private mutating func mergeAll() {
        candidates.removeAll()
        for left in 0..<max(0, symbols.count - 1) { consider(left: left, right: left + 1) }

        while let candidate = candidates.popFirst() {
            let left = Int(UInt32(truncatingIfNeeded: candidate.order))
            let right = Int(symbols[left].next)
            // The entry's pair may be gone: merged away, or part of something longer by now.
            guard symbols[left].id >= 0, right < symbols.count,
                rules.merges.merge(symbols[left].id, symbols[right].id)?.result == candidate.result
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
        guard let merge = rules.merges.merge(symbols[left].id, symbols[right].id) else { return }
        candidates.insert(Candidate(order: UInt64(merge.rank) << 32 | UInt64(left), result: merge.result))
    }
}
