/// SentencePiece's byte pair encoding: of all neighbours that together are a piece, those of the best score join first,
/// the leftmost among equals.
///
/// A piece marked as unused may come up on the way and is taken apart again at the end.
/// Source: sentencepiece, bpe_model.cc.
struct SentencePieceMerger {
    /// A piece so far: a range of the text, in a doubly linked list. Empty once it is part of the one before.
    private struct Symbol {
        var start: Int32
        var end: Int32
        var previous: Int32
        var next: Int32
        /// A user-defined piece, which joins with nothing.
        let isFrozen: Bool
    }

    /// A pair that may join.
    private struct Candidate: Comparable {
        let score: Float
        let left: Int32
        let right: Int32
        /// Of both together: tells pairs that have changed since.
        let byteCount: Int32

        /// The best is the smallest.
        static func < (first: Candidate, second: Candidate) -> Bool {
            first.score > second.score || (first.score == second.score && first.left < second.left)
        }
    }

    private let model: SentencePieceModel
    private let vocabulary: Vocabulary
    private let text: UnsafeBufferPointer<UInt8>
    private var symbols: [Symbol] = []
    private var candidates = Heap<Candidate>()
    /// How an unused piece was last made: where its left part ends, by the piece's id. The parts are bytes of the text.
    private var parts: [Int: (left: Range<Int>, right: Range<Int>)] = [:]

    init(_ model: SentencePieceModel, vocabulary: Vocabulary, _ text: UnsafeBufferPointer<UInt8>) {
        self.model = model
        self.vocabulary = vocabulary
        self.text = text
    }

    mutating func pieces() -> [UnigramModel.Piece] {
        fillSymbols()
        guard !symbols.isEmpty else { return [] }
        for left in 0..<symbols.count - 1 { consider(Int32(left), Int32(left + 1)) }
        while let candidate = candidates.popFirst() {
            let left = symbols[Int(candidate.left)]
            let right = symbols[Int(candidate.right)]
            guard left.end > left.start, right.end > right.start,
                right.end - right.start + left.end - left.start == candidate.byteCount
            else { continue }
            symbols[Int(candidate.left)].end = right.end
            symbols[Int(candidate.left)].next = right.next
            if right.next >= 0 { symbols[Int(right.next)].previous = candidate.left }
            symbols[Int(candidate.right)].end = right.start
            consider(left.previous, candidate.left)
            consider(candidate.left, right.next)
        }
        var pieces: [UnigramModel.Piece] = []
        pieces.reserveCapacity(symbols.count)
        var index: Int32 = 0
        while index >= 0 {
            let symbol = symbols[Int(index)]
            append(Int(symbol.start)..<Int(symbol.end), to: &pieces)
            index = symbol.next
        }
        return pieces
    }

    private mutating func fillSymbols() {
        symbols.reserveCapacity(text.count)
        var position = 0
        while position < text.count {
            let userDefined = model.normalizer.userDefined?.longestPrefix(of: text, from: position)
            let end = userDefined?.end ?? position + text.scalar(at: position).length
            let index = Int32(symbols.count)
            symbols.append(
                Symbol(
                    start: Int32(position), end: Int32(end), previous: index - 1,
                    next: end < text.count ? index + 1 : -1, isFrozen: userDefined != nil))
            position = end
        }
    }

    private func bytes(_ range: Range<Int>) -> UnsafeBufferPointer<UInt8> { UnsafeBufferPointer(rebasing: text[range]) }

    private mutating func consider(_ left: Int32, _ right: Int32) {
        guard left >= 0, right >= 0, !symbols[Int(left)].isFrozen, !symbols[Int(right)].isFrozen else { return }
        let range = Int(symbols[Int(left)].start)..<Int(symbols[Int(right)].end)
        guard range.count <= vocabulary.maximumKeyByteCount, let id = vocabulary.id(of: bytes(range)).map(Int.init),
            model.file.pieces.indices.contains(id)
        else { return }
        switch model.file.pieces[id].type {
        case .normal, .userDefined: break
        case .unused:
            let middle = Int(symbols[Int(left)].end)
            parts[id] = (range.lowerBound..<middle, middle..<range.upperBound)
        case .unknown, .control, .byte: return
        }
        candidates.insert(
            Candidate(
                score: model.file.pieces[id].score, left: left, right: right, byteCount: Int32(range.count)))
    }

    /// Appends what `range` is, taking unused pieces apart.
    private func append(_ range: Range<Int>, to pieces: inout [UnigramModel.Piece]) {
        var pending = [range]
        while let range = pending.popLast() {
            let id = vocabulary.id(of: bytes(range)).map(Int.init) ?? model.unknownID
            guard id < model.file.pieces.count, model.file.pieces[id].type == .unused, let parts = parts[id] else {
                pieces.append(
                    UnigramModel.Piece(range: range, id: id < model.file.pieces.count ? id : model.unknownID))
                continue
            }
            pending.append(parts.right)
            pending.append(parts.left)
        }
    }
}
