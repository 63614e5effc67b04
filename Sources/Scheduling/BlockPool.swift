/// The number of a block of KV cache, `0..<blockCount`. 32 bits, because kernels read block lists as they are.
public typealias BlockIndex = Int32

/// Hands out the fixed number of equally sized blocks into which the KV cache is cut.
///
/// The pool is bookkeeping only: the memory of block `b` belongs to the decoder's cache. Every block counts its
/// holders, so that sequences with the same prompt can share their full blocks, and so that a prefix cache can later
/// hold blocks like any sequence does. The block that was freed last is handed out first: it is the likeliest to be in
/// a processor cache, and memory that was never touched stays untouched.
///
/// A pool cannot be copied, since two copies would hand out the same block.
/// Source: Kwon et al., "Efficient Memory Management for Large Language Model Serving with PagedAttention", SOSP 2023.
public struct BlockPool: ~Copyable, Sendable {
    /// Blocks in the pool, held and free.
    public let blockCount: Int
    /// Tokens whose keys and values fit into one block.
    public let tokensPerBlock: Int

    /// Holders of each block, `[blockCount]`; 0 is a free block.
    private var referenceCounts: [UInt32]
    /// The free blocks as a stack; its last element is handed out next.
    private var freeBlocks: [BlockIndex]

    /// A pool of free blocks.
    /// - Precondition: `0 <= blockCount <= Int32.max`, `tokensPerBlock > 0`, and all tokens can be counted in an `Int`.
    /// - Complexity: O(blockCount); 8 bytes per block.
    public init(blockCount: Int, tokensPerBlock: Int) {
        precondition(blockCount >= 0 && blockCount <= Int(BlockIndex.max), "a pool of \(blockCount) blocks")
        precondition(tokensPerBlock > 0, "blocks of \(tokensPerBlock) tokens")
        precondition(
            !blockCount.multipliedReportingOverflow(by: tokensPerBlock).overflow,
            "\(blockCount) blocks of \(tokensPerBlock) tokens overflow")
        self.blockCount = blockCount
        self.tokensPerBlock = tokensPerBlock
        referenceCounts = Array(repeating: 0, count: blockCount)
        freeBlocks = (0..<BlockIndex(blockCount)).reversed()
    }

    /// Blocks that nobody holds.
    public var freeCount: Int { freeBlocks.count }

    /// Blocks that somebody holds.
    public var usedCount: Int { blockCount - freeBlocks.count }

    /// Blocks that `tokenCount` tokens fill, the last one perhaps only in part.
    public func blockCount(forTokens tokenCount: Int) -> Int {
        precondition(tokenCount >= 0, "\(tokenCount) tokens")
        return tokenCount / tokensPerBlock + (tokenCount % tokensPerBlock == 0 ? 0 : 1)
    }

    /// A free block, with one holder from now on.
    /// - Throws: `SchedulingError.outOfBlocks` if there is none.
    /// - Complexity: O(1).
    public mutating func allocate() throws(SchedulingError) -> BlockIndex {
        guard let block = freeBlocks.popLast() else { throw .outOfBlocks(needed: 1, free: 0) }
        precondition(referenceCounts[Int(block)] == 0, "block \(block) is free and held")
        referenceCounts[Int(block)] = 1
        return block
    }

    /// Adds a holder to a block that has at least one.
    /// - Precondition: somebody holds `block`.
    /// - Complexity: O(1).
    public mutating func retain(_ block: BlockIndex) {
        precondition(referenceCount(of: block) > 0, "block \(block) is retained, but nobody holds it")
        referenceCounts[Int(block)] += 1
    }

    /// Takes a holder from a block; the block is free when it was the last one.
    /// - Precondition: somebody holds `block`.
    /// - Complexity: O(1).
    public mutating func release(_ block: BlockIndex) {
        precondition(referenceCount(of: block) > 0, "block \(block) is released, but nobody holds it")
        referenceCounts[Int(block)] -= 1
        if referenceCounts[Int(block)] == 0 { freeBlocks.append(block) }
    }

    /// Holders of `block`.
    public func referenceCount(of block: BlockIndex) -> Int {
        precondition(block >= 0 && Int(block) < blockCount, "block \(block) outside 0..<\(blockCount)")
        return Int(referenceCounts[Int(block)])
    }
}

extension BlockPool {
    /// What is wrong with the pool's books, or nil if they are in order: the free blocks are those without holders,
    /// each listed once.
    /// - Complexity: O(blockCount).
    public func brokenInvariant() -> String? {
        guard referenceCounts.count == blockCount else {
            return "\(referenceCounts.count) counts, \(blockCount) blocks"
        }
        var isListed = Array(repeating: false, count: blockCount)
        for block in freeBlocks {
            guard isListed.indices.contains(Int(block)) else { return "free block \(block) outside 0..<\(blockCount)" }
            guard !isListed[Int(block)] else { return "block \(block) is listed as free twice" }
            isListed[Int(block)] = true
            guard referenceCounts[Int(block)] == 0 else { return "block \(block) is listed as free, but held" }
        }
        for block in 0..<blockCount where referenceCounts[block] == 0 && !isListed[block] {
            return "nobody holds block \(block), but it is not listed as free"
        }
        return nil
    }

    /// As ``brokenInvariant()``; also, every block has as many holders as there are occurrences of it in `tables`.
    /// - Parameter tables: the blocks of everyone who holds some of this pool.
    /// - Complexity: O(blockCount + blocks in all tables).
    public func brokenInvariant(holders tables: some Sequence<SequenceBlocks>) -> String? {
        if let broken = brokenInvariant() { return broken }
        var counts = Array(repeating: 0, count: blockCount)
        for table in tables {
            for block in table.blocks {
                guard counts.indices.contains(Int(block)) else {
                    return "held block \(block) outside 0..<\(blockCount)"
                }
                counts[Int(block)] += 1
            }
        }
        for block in 0..<blockCount where counts[block] != Int(referenceCounts[block]) {
            return "block \(block) counts \(referenceCounts[block]) holders, but \(counts[block]) hold it"
        }
        return nil
    }
}
