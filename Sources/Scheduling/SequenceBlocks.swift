/// The KV-cache blocks of one sequence, in the order of its tokens: token `t` lives in block `t / tokensPerBlock` of
/// the list, at place `t % tokensPerBlock`.
///
/// The list holds its blocks in the ``BlockPool`` until ``truncate(toTokens:in:)`` or ``release(to:)`` gives them back.
/// It must therefore have one owner: of two copies, only one may be used on.
public struct SequenceBlocks: Sendable {
    /// The blocks in token order; a kernel's block table. Always just enough for ``tokenCount``.
    public private(set) var blocks: [BlockIndex] = []
    /// Tokens that have a place.
    public private(set) var tokenCount = 0
    /// Tokens that fit into one block, as in the pool.
    public let tokensPerBlock: Int

    /// No blocks yet; they will come from `pool`.
    public init(pool: borrowing BlockPool) {
        tokensPerBlock = pool.tokensPerBlock
    }

    /// Tokens that have a place or would get one without another block.
    public var tokenCapacity: Int { blocks.count * tokensPerBlock }

    /// Grows to at least `tokenCount` tokens in all, with blocks from `pool`; already being that long changes nothing.
    ///
    /// All or nothing: if the pool has too few blocks, none is taken, and the sequence can wait or be preempted.
    /// - Throws: `SchedulingError.outOfBlocks` with the number of further blocks that were needed.
    /// - Complexity: O(new blocks).
    public mutating func reserve(tokenCount newCount: Int, from pool: inout BlockPool) throws(SchedulingError) {
        precondition(pool.tokensPerBlock == tokensPerBlock, "the pool's blocks have another size")
        guard newCount > tokenCount else {
            precondition(newCount >= 0, "a sequence of \(newCount) tokens")
            return
        }
        let needed = pool.blockCount(forTokens: newCount) - blocks.count
        guard needed <= pool.freeCount else { throw .outOfBlocks(needed: needed, free: pool.freeCount) }
        blocks.reserveCapacity(blocks.count + needed)
        for _ in 0..<needed { blocks.append(try pool.allocate()) }
        tokenCount = newCount
    }

    /// Forgets all tokens from `newCount` on, and gives back the blocks that hold none of the others.
    /// - Precondition: `0 <= newCount <= tokenCount`.
    /// - Complexity: O(blocks given back).
    public mutating func truncate(toTokens newCount: Int, in pool: inout BlockPool) {
        precondition(pool.tokensPerBlock == tokensPerBlock, "the pool's blocks have another size")
        precondition(newCount >= 0 && newCount <= tokenCount, "\(tokenCount) tokens cannot be cut to \(newCount)")
        let kept = pool.blockCount(forTokens: newCount)
        // Last block first, so that the pool hands them out again in the old order.
        while blocks.count > kept { pool.release(blocks.removeLast()) }
        tokenCount = newCount
    }

    /// Gives all blocks back. The sequence is empty afterwards and can grow anew.
    public mutating func release(to pool: inout BlockPool) {
        truncate(toTokens: 0, in: &pool)
    }

    /// The cache's row for token `position`: `block * tokensPerBlock + place`.
    /// - Precondition: `0 <= position < tokenCount`.
    public func slot(ofToken position: Int) -> Int {
        precondition(position >= 0 && position < tokenCount, "token \(position) outside 0..<\(tokenCount)")
        return Int(blocks[position / tokensPerBlock]) * tokensPerBlock + position % tokensPerBlock
    }
}
