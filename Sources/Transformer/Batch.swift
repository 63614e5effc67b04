/// What one forward pass works on: runs of tokens of several sequences, prompt chunks and decoding steps alike.
///
/// A batch is filled, run and filled again; its arrays keep their capacity, so a steady loop allocates nothing.
public struct Batch: Sendable {
    /// One sequence's part.
    public struct Run: Sendable {
        /// The tokens' places in ``Batch/tokens``.
        public let tokens: Range<Int>
        /// Position of the first of them in the sequence; the cache holds what lies before.
        public let firstPosition: Int
        /// The sequence's cache blocks, places in ``Batch/blocks``.
        public let blocks: Range<Int>
    }

    public private(set) var runs: [Run] = []
    /// Token ids of all runs behind each other.
    public private(set) var tokens: [Int32] = []
    /// Position of each token in its sequence.
    public private(set) var positions: [Int32] = []
    /// Tokens that each token's sequence has in all, those of its later batches included: by them some models choose
    /// how its positions are rotated (``RotaryParameters/isLong(_:)``). What the cache holds of the sequence must have
    /// been computed under the same choice.
    public private(set) var lengths: [Int32] = []
    /// Cache block ids of all runs behind each other.
    public private(set) var blocks: [Int32] = []

    public init() {}

    public mutating func removeAll() {
        runs.removeAll(keepingCapacity: true)
        tokens.removeAll(keepingCapacity: true)
        positions.removeAll(keepingCapacity: true)
        lengths.removeAll(keepingCapacity: true)
        blocks.removeAll(keepingCapacity: true)
    }

    /// Adds tokens of one sequence.
    /// - Parameters:
    ///   - newTokens: at least one id, checked against the vocabulary by the decoder.
    ///   - firstPosition: how many tokens of the sequence the cache already holds.
    ///   - length: tokens of the whole sequence; nil if these are its last.
    ///   - sequenceBlocks: the sequence's cache blocks in order, enough for the new tokens.
    public mutating func append(
        tokens newTokens: some Collection<Int32>, firstPosition: Int, ofSequence length: Int? = nil,
        blocks sequenceBlocks: some Collection<Int32>
    ) {
        precondition(!newTokens.isEmpty && firstPosition >= 0)
        let length = length ?? firstPosition + newTokens.count
        precondition(
            sequenceBlocks.count * KeyValueCache.blockTokens >= firstPosition + newTokens.count,
            "\(sequenceBlocks.count) blocks for \(firstPosition + newTokens.count) tokens")
        let firstToken = tokens.count
        let firstBlock = blocks.count
        tokens.append(contentsOf: newTokens)
        for offset in 0..<newTokens.count {
            positions.append(Int32(firstPosition + offset))
            lengths.append(Int32(length))
        }
        blocks.append(contentsOf: sequenceBlocks)
        runs.append(
            Run(
                tokens: firstToken..<tokens.count, firstPosition: firstPosition, blocks: firstBlock..<blocks.count))
    }
}
