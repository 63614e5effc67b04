/// The pieces whose scores add up to the most, of all ways to cut a text into pieces of the vocabulary.
///
/// Source: Kudo, "Subword Regularization: Improving Neural Network Translation Models with Multiple Subword
/// Candidates", arXiv:1804.10959, section 3.1; the search is that of `tokenizers` (in double precision) or that of
/// `sentencepiece` 0.2.3 (single), since rounding decides between ways of equal worth: of these the one stays that was
/// found first.
struct UnigramModel<Score: BinaryFloatingPoint & Sendable>: Sendable {
    /// What a character costs that no piece covers, below the worst score of a piece.
    private static var unknownPenalty: Score { 10 }

    private let trie: PrefixTrie
    private let scores: [Score]
    private let unknownID: Int32
    private let unknownScore: Score
    private let limit: Score?

    /// - Parameters:
    ///   - scores: for each id.
    ///   - ids: the pieces that a text may be cut into.
    ///   - worst: the score that unknown characters must stay below.
    ///   - limit: where the sum so far goes beyond it, up or down, it is taken from all sums, and they begin from zero
    ///     again: what `sentencepiece` does so that long texts do not lose precision.
    init(vocabulary: Vocabulary, scores: [Score], ids: [Int], unknownID: Int, worst: Score, limit: Score? = nil) {
        trie = PrefixTrie(ids.map { (vocabulary.bytes(of: $0), Int32($0)) })
        self.scores = scores
        self.unknownID = Int32(unknownID)
        self.limit = limit
        unknownScore = worst - Self.unknownPenalty
    }

    /// A way to get to a place: where its last piece starts, or -1 if there is none yet.
    private struct Node {
        var score: Score = 0
        var start: Int32 = -1
        var id: Int32 = -1
    }

    /// Calls `body` with the pieces of `text` (valid UTF-8) from left to right: their ranges and ids.
    /// - Complexity: O(bytes x longest piece).
    func forEachPiece(of text: UnsafeBufferPointer<UInt8>, _ body: (Range<Int>, Int32) -> Void) {
        guard !text.isEmpty else { return }
        withUnsafeTemporaryAllocation(of: Node.self, capacity: text.count + 1) { nodes in
            nodes.initialize(repeating: Node())
            fill(nodes, text)
            // From the end each piece says where it starts: turned around, each start says where its piece ends.
            var end = text.count
            var id = nodes[end].id
            var start = Int(nodes[end].start)
            while true {
                let before = nodes[start]
                nodes[start] = Node(start: Int32(end), id: id)
                guard start > 0 else { break }
                end = start
                id = before.id
                start = Int(before.start)
            }
            var position = 0
            while position < text.count {
                let node = nodes[position]
                body(position..<Int(node.start), node.id)
                position = Int(node.start)
            }
        }
    }

    /// Finds the best way to every place.
    @inline(__always)
    private func fill(_ nodes: UnsafeMutableBufferPointer<Node>, _ text: UnsafeBufferPointer<UInt8>) {
        var start = 0
        var frontier = 0
        while start < text.count {
            let length = text.scalar(at: start).length
            var soFar = nodes[start].score
            if let limit, abs(soFar) > limit {
                for index in start...max(start, frontier) where index == start || nodes[index].start >= 0 {
                    nodes[index].score -= soFar
                }
                soFar = 0
            }
            var coversCharacter = false
            trie.forEachPrefix(of: text, from: start) { end, id in
                improve(&nodes[end], to: scores[Int(id)] + soFar, start, id)
                if end == start + length { coversCharacter = true }
                frontier = max(frontier, end)
            }
            if !coversCharacter {
                improve(&nodes[start + length], to: unknownScore + soFar, start, unknownID)
                frontier = max(frontier, start + length)
            }
            start += length
        }
    }

    @inline(__always)
    private func improve(_ node: inout Node, to score: Score, _ start: Int, _ id: Int32) {
        guard node.start < 0 || score > node.score else { return }
        node = Node(score: score, start: Int32(start), id: id)
    }
}
