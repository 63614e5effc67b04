/// SentencePiece's byte pair encoding by ids: what each character is, and what two neighbours become.
///
/// SentencePiece itself looks up the text of two neighbours together. Here every way to make a piece of two parts is
/// looked up once, when the model is read.
struct SentencePieceRules: Sendable {
    /// What a symbol is called that joins with nothing.
    static let apart: Int32 = -1

    /// How many ids are pieces: above lie characters that occur in pieces but are none themselves.
    let pieceCount: Int
    /// Those characters, from `pieceCount` on.
    private(set) var others: [UInt32] = []
    /// Of ASCII, and of all other characters, under their numbers and zero; ``apart`` if no piece has the character.
    private var asciiIDs = [Int32](repeating: SentencePieceRules.apart, count: 0x80)
    private var otherIDs = PairTable()
    /// As ``PairMerger`` reads it: the better a piece's score, the lower its rank. Two characters that are neighbours
    /// in any piece have a value even if they don't join; where two have none, a text falls apart into texts of their
    /// own.
    private(set) var pairs = PairTable()
    /// Whether each piece is one that is taken apart again; empty if none is.
    private(set) var isUnused: [Bool] = []

    /// The squares of the pieces' lengths in bytes together, which is what looking up all their parts takes: a model of
    /// 256,000 tokens has a hundredth of it.
    static let maximumWork = 1 << 32

    /// - Throws: `TokenizerError` if that would take more, or makes more pairs, than ``MergeRules`` may hold.
    /// - Complexity: O(bytes of the longest piece) for each byte of all pieces.
    init(_ file: SentencePieceFile, vocabulary: Vocabulary) throws(TokenizerError) {
        pieceCount = file.pieces.count
        func joins(_ id: Int) -> Bool {
            switch file.pieces[id].type {
            case .normal, .userDefined, .unused: true
            case .unknown, .control, .byte: false
            }
        }
        let pieces = file.pieces.indices.filter(joins)
        if file.pieces.contains(where: { $0.type == .unused }) { isUnused = file.pieces.map { $0.type == .unused } }
        // An unused piece of one character cannot be taken apart: it is unknown.
        for id in pieces where file.pieces[id].type != .unused {
            vocabulary.withBytes(of: id) { text in
                let (value, length) = text.scalar(at: 0)
                if length == text.count { setID(Int32(id), of: value) }
            }
        }
        var work = 0
        for id in pieces { work += vocabulary.bytes(of: id).count * vocabulary.bytes(of: id).count }
        guard work <= SentencePieceRules.maximumWork else {
            throw TokenizerError(
                "the squares of the lengths of tokenizer.model's pieces together are \(work), expected at most "
                    + "\(SentencePieceRules.maximumWork)")
        }
        for id in pieces {
            addPairs(for: id, score: file.pieces[id].score, vocabulary: vocabulary) { joins(Int($0)) }
            guard pairs.count <= MergeRules.maximumCount else {
                throw TokenizerError(
                    "the pieces of tokenizer.model are made of more than \(MergeRules.maximumCount) pairs")
            }
        }
    }

    /// Every way to make a piece of two parts.
    /// - Parameter joins: whether an id is a piece that is made by merges.
    private mutating func addPairs(for id: Int, score: Float, vocabulary: Vocabulary, joins: (Int32) -> Bool) {
        vocabulary.withBytes(of: id) { text in
            var symbols: [Int32] = []
            var ends: [Int] = []
            var position = 0
            while position < text.count {
                let (value, length) = text.scalar(at: position)
                symbols.append(addedID(of: value))
                position += length
                ends.append(position)
            }
            /// The symbol of the characters in a range, if these together can be one.
            func symbol(_ characters: Range<Int>) -> Int32? {
                if characters.count == 1 { return symbols[characters.lowerBound] }
                let start = characters.lowerBound == 0 ? 0 : ends[characters.lowerBound - 1]
                let bytes = UnsafeBufferPointer(rebasing: text[start..<ends[characters.upperBound - 1]])
                guard let id = vocabulary.id(of: bytes), id < pieceCount, joins(id) else { return nil }
                return id
            }
            let value = PairMerger.value(rank: SentencePieceRules.rank(score: score), result: Int32(id))
            for middle in 1..<max(1, symbols.count) {
                let left = symbols[middle - 1]
                let right = symbols[middle]
                if pairs.value(left, right) == PairTable.none {
                    pairs.update(left, right, to: PairMerger.value(rank: .max, result: 0))
                }
                guard let left = symbol(0..<middle), let right = symbol(middle..<symbols.count) else { continue }
                pairs.update(left, right, to: value)
            }
        }
    }

    /// Ranks are in the opposite order of scores, and below 2^32 - 1 for finite ones. A zero goes before the negative
    /// one: `sentencepiece` compares bits.
    static func rank(score: Float) -> UInt32 {
        let bits = score.bitPattern
        return bits >> 31 == 1 ? bits : ~(bits | 0x8000_0000)
    }

    /// The symbol of a character, or ``apart``.
    @inline(__always)
    func id(of scalar: UInt32) -> Int32 {
        if scalar < 0x80 { return asciiIDs[Int(scalar)] }
        // No value has an id of -1 in its lower half, which is what a missing one has.
        return Int32(truncatingIfNeeded: otherIDs.value(Int32(scalar), 0))
    }

    private mutating func setID(_ id: Int32, of scalar: UInt32) {
        if scalar < 0x80 { asciiIDs[Int(scalar)] = id } else { otherIDs.update(Int32(scalar), 0, to: UInt64(id)) }
    }

    private mutating func addedID(of scalar: UInt32) -> Int32 {
        let known = id(of: scalar)
        if known != SentencePieceRules.apart { return known }
        let id = Int32(pieceCount + others.count)
        others.append(scalar)
        setID(id, of: scalar)
        return id
    }
}
