/// The merges of a byte pair encoding: which neighbours join, into what, and which pair goes first.
struct MergeRules: Sendable {
    /// More merges than this are refused; Llama 3 has 280,147.
    static let maximumCount = 8_000_000

    /// Two neighbouring tokens that may become one.
    private struct Pair: Sendable {
        let left: Int32
        let right: Int32
    }

    /// What a pair becomes.
    struct Merge {
        /// The position in the list of merges: the lower one goes first.
        let rank: UInt32
        let result: Int32
    }

    /// Two tokens' texts as files write them.
    struct Texts: Sendable, Equatable {
        let left: String
        let right: String

        init(_ left: String, _ right: String) {
            self.left = left
            self.right = right
        }

        /// - Parameter line: two texts with one space between; nil if there is none.
        init?(line: String) {
            guard let space = line.utf8.firstIndex(of: UInt8(ascii: " ")) else { return nil }
            self.init(String(line[..<space]), String(line[line.utf8.index(after: space)...]))
        }

        var line: String { left + " " + right }
    }

    /// In rank order.
    private var pairs: [Pair] = []
    /// As ``PairMerger`` reads it.
    private(set) var table = PairTable()

    var count: Int { pairs.count }

    /// - Parameters:
    ///   - lines: merges in rank order, each the texts of two tokens with one space between.
    /// - Complexity: O(bytes).
    init(lines: [String], vocabulary: Vocabulary) throws(TokenizerError) {
        var texts: [Texts] = []
        texts.reserveCapacity(lines.count)
        for (rank, line) in lines.enumerated() {
            guard let pair = Texts(line: line) else { throw MergeRules.damaged(rank, line) }
            texts.append(pair)
        }
        try self.init(texts, vocabulary: vocabulary)
    }

    /// - Parameters:
    ///   - texts: merges in rank order.
    ///   - prefixLength: the right token of a merge begins with a prefix of so many bytes, which the result leaves out.
    init(_ texts: [Texts], vocabulary: Vocabulary, prefixLength: Int = 0) throws(TokenizerError) {
        guard texts.count <= MergeRules.maximumCount else {
            throw TokenizerError("there are \(texts.count) merges, expected at most \(MergeRules.maximumCount)")
        }
        pairs.reserveCapacity(texts.count)
        table = PairTable(capacity: texts.count)
        var left: [UInt8] = []
        var right: [UInt8] = []
        for (rank, merge) in texts.enumerated() {
            left.removeAll(keepingCapacity: true)
            right.removeAll(keepingCapacity: true)
            guard vocabulary.appendKey(of: merge.left, to: &left), !left.isEmpty,
                vocabulary.appendKey(of: merge.right, to: &right), right.count > prefixLength
            else { throw MergeRules.damaged(rank, merge.line) }
            func id(_ bytes: [UInt8]) throws(TokenizerError) -> Int32 {
                guard let id = vocabulary.id(of: bytes) else {
                    let token = vocabulary.text(ofKey: bytes).quoted
                    throw TokenizerError(
                        "merge \(rank), \(merge.line.quoted), needs the token \(token), which is missing")
                }
                return id
            }
            let pair = Pair(left: try id(left), right: try id(right))
            left += right.dropFirst(prefixLength)
            let value = PairMerger.value(rank: UInt32(rank), result: try id(left))
            if let other = table.update(pair.left, pair.right, to: value) {
                throw TokenizerError("merges \(other >> 32) and \(rank) are both \(merge.line.quoted)")
            }
            pairs.append(pair)
        }
    }

    private static func damaged(_ rank: Int, _ line: String) -> TokenizerError {
        TokenizerError("merge \(rank) is \(line.quoted), expected two byte-level tokens with one space between")
    }

    /// What two neighbours become, or nil if they stay apart. Ids are never negative.
    func merge(_ left: Int32, _ right: Int32) -> Merge? {
        let value = table.value(left, right)
        guard value != PairTable.none else { return nil }
        return Merge(rank: UInt32(value >> 32), result: Int32(truncatingIfNeeded: value))
    }

    /// The merge of this rank as files write it.
    func line(_ rank: Int, in vocabulary: Vocabulary) -> String {
        let pair = pairs[rank]
        return vocabulary.text(ofKey: Array(vocabulary.bytes(of: Int(pair.left)))) + " "
            + vocabulary.text(ofKey: Array(vocabulary.bytes(of: Int(pair.right))))
    }
}
