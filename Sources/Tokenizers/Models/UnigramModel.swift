/// The pieces whose scores add up to the most, of all ways to cut a text into pieces of the vocabulary.
///
/// Source: Kudo, "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword
/// Candidates", arXiv:1804.10959, section 3.1; the search is that of `tokenizers` (in double precision) or that of
/// `sentencepiece` (single), since rounding decides between ways of equal worth.
struct UnigramModel: Sendable {
    /// What a character costs that no piece covers, below the worst score of a piece.
    private static let unknownPenalty = 10.0

    private let trie: PrefixTrie
    private let scores: [Double]
    private let unknownID: Int
    private let unknownScore: Double
    private let isSinglePrecision: Bool
    /// Pieces that are preferred to all others, as a bit for each; empty if there are none.
    private var isUserDefined: [Bool] = []
    private let bestScore: Double

    /// - Parameters:
    ///   - scores: for each id.
    ///   - ids: the pieces that a text may be cut into; the user-defined ones are among them.
    ///   - worst: the score that unknown characters must stay below.
    ///   - best: what user-defined pieces count for each byte.
    init(
        vocabulary: Vocabulary, scores: [Double], ids: [Int], unknownID: Int, userDefined: [Int] = [], worst: Double,
        best: Double = 0, isSinglePrecision: Bool
    ) {
        trie = PrefixTrie(ids.map { (vocabulary.bytes(of: $0), Int32($0)) })
        self.scores = scores
        self.unknownID = unknownID
        self.isSinglePrecision = isSinglePrecision
        let unknown = worst - UnigramModel.unknownPenalty
        unknownScore = isSinglePrecision ? Double(Float(unknown)) : unknown
        bestScore = best
        if !userDefined.isEmpty {
            isUserDefined = [Bool](repeating: false, count: scores.count)
            for id in userDefined { isUserDefined[id] = true }
        }
    }

    /// A way to get to a place: where its last piece starts, or -1 if there is none yet.
    private struct Node {
        var score = 0.0
        var start: Int32 = -1
        var id: Int32 = -1
    }

    /// A piece of a text, or a character that no piece covers.
    struct Piece {
        let range: Range<Int>
        let id: Int
    }

    /// The pieces of `text` (valid UTF-8), from left to right.
    /// - Complexity: O(bytes x longest piece).
    func pieces(of text: UnsafeBufferPointer<UInt8>) -> [Piece] {
        var nodes = [Node](repeating: Node(), count: text.count + 1)
        var start = 0
        while start < text.count {
            let length = text.scalar(at: start).length
            let soFar = nodes[start].score
            var coversCharacter = false
            nodes.withUnsafeMutableBufferPointer { nodes in
                trie.forEachPrefix(of: text, from: start) { end, id in
                    improve(&nodes[end], to: score(of: Int(id), length: end - start) + soFar, start, id)
                    if end == start + length { coversCharacter = true }
                }
            }
            if !coversCharacter {
                improve(&nodes[start + length], to: unknownScore + soFar, start, Int32(unknownID))
            }
            start += length
        }
        var pieces: [Piece] = []
        var end = text.count
        while end > 0 {
            let node = nodes[end]
            pieces.append(Piece(range: Int(node.start)..<end, id: Int(node.id)))
            end = Int(node.start)
        }
        return pieces.reversed()
    }

    @inline(__always)
    private func improve(_ node: inout Node, to score: Double, _ start: Int, _ id: Int32) {
        let score = isSinglePrecision ? Double(Float(score)) : score
        guard node.start < 0 || score > node.score else { return }
        node = Node(score: score, start: Int32(start), id: id)
    }

    @inline(__always)
    private func score(of id: Int, length: Int) -> Double {
        if !isUserDefined.isEmpty, isUserDefined[id] {
            return Double(Float(Double(Float(length) * Float(bestScore)) - 0.1))
        }
        return scores[id]
    }
}
