/// Merges the bytes or characters of one piece of text into tokens, keeping its buffers from piece to piece.
///
/// A piece of n bytes takes O(n log n) time, whatever it holds.
struct BytePairMerger {
    private let rules: BytePairRules
    private let vocabulary: Vocabulary
    private let specialIDs: Set<Int>
    private var merger = PairMerger()

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
        merger.removeAll()
        switch rules.units {
        case .bytes: fillSymbols(fromBytesOf: piece)
        case .characters(let fallsBackToBytes):
            fillSymbols(fromCharactersOf: piece, fallsBackToBytes: fallsBackToBytes)
        }
        merger.merge(rules.merges.table)
        for index in 0..<merger.count { output.append(Int(merger[index])) }
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
        let hasLast = merger.count > 0
        merger.append(
            id, valueWithLast: hasLast ? rules.merges.table.value(merger[merger.count - 1], id) : PairTable.none)
    }
}
