/// The merges of a byte pair encoding: which neighbours join, into what, and which pair goes first.
struct MergeRules: Sendable {
    /// More merges than this are refused; Llama 3 has 280,147.
    static let maximumCount = 8_000_000

    /// Two neighbouring tokens that may become one.
    private struct Pair: Sendable {
        let left: Int32
        let right: Int32
        var key: UInt64 { MergeRules.key(left, right) }
    }

    /// What a pair becomes.
    struct Merge {
        /// The position in the list of merges: the lower one goes first.
        let rank: UInt32
        let result: Int32
    }

    /// In rank order.
    private var pairs: [Pair] = []
    /// Pair to rank (upper half) and result (lower half). Swift's dictionary is seeded per process.
    private var table: [UInt64: UInt64] = [:]

    var count: Int { pairs.count }

    /// - Parameter lines: merges in rank order, each the texts of two tokens with one space between.
    /// - Complexity: O(bytes).
    init(lines: [String], vocabulary: Vocabulary) throws(TokenizerError) {
        guard lines.count <= MergeRules.maximumCount else {
            throw TokenizerError("there are \(lines.count) merges, expected at most \(MergeRules.maximumCount)")
        }
        pairs.reserveCapacity(lines.count)
        table.reserveCapacity(lines.count)
        var left: [UInt8] = []
        var right: [UInt8] = []

        for (rank, line) in lines.enumerated() {
            let text = line.utf8
            left.removeAll(keepingCapacity: true)
            right.removeAll(keepingCapacity: true)
            guard let space = text.firstIndex(of: UInt8(ascii: " ")),
                ByteAlphabet.appendBytes(of: text[..<space], to: &left), !left.isEmpty,
                ByteAlphabet.appendBytes(of: text[text.index(after: space)...], to: &right), !right.isEmpty
            else {
                throw TokenizerError(
                    "merge \(rank) is \(line.quoted), expected two byte-level tokens with one space between")
            }
            func id(_ bytes: [UInt8]) throws(TokenizerError) -> Int32 {
                guard let id = vocabulary.id(of: bytes) else {
                    let token = ByteAlphabet.text(of: bytes).quoted
                    throw TokenizerError("merge \(rank), \(line.quoted), needs the token \(token), which is missing")
                }
                return id
            }
            let pair = Pair(left: try id(left), right: try id(right))
            left += right
            let result = try id(left)
            let value = UInt64(rank) << 32 | UInt64(result)
            if let other = table.updateValue(value, forKey: pair.key) {
                throw TokenizerError("merges \(other >> 32) and \(rank) are both \(line.quoted)")
            }
            pairs.append(pair)
        }
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 { UInt64(left) << 32 | UInt64(right) }

    /// What two neighbours become, or nil if they stay apart. Ids are never negative.
    func merge(_ left: Int32, _ right: Int32) -> Merge? {
        guard let value = table[MergeRules.key(left, right)] else { return nil }
        return Merge(rank: UInt32(value >> 32), result: Int32(truncatingIfNeeded: value))
    }

    /// The merge of this rank as files write it.
    func line(_ rank: Int, in vocabulary: Vocabulary) -> String {
        let pair = pairs[rank]
        return ByteAlphabet.text(of: vocabulary.bytes(of: Int(pair.left))) + " "
            + ByteAlphabet.text(of: vocabulary.bytes(of: Int(pair.right)))
    }
}
