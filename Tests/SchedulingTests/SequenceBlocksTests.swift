import Scheduling
import TestSupport
import Testing

@Suite struct SequenceBlocksTests {
    @Test(arguments: [1, 2, 13, 16, 64], [0, 1, 2, 13, 15, 16, 17, 63, 64, 65, 127, 128, 129])
    func reservesJustEnoughBlocks(tokensPerBlock: Int, tokenCount: Int) throws {
        var pool = BlockPool(blockCount: 200, tokensPerBlock: tokensPerBlock)
        var sequence = SequenceBlocks(pool: pool)
        try sequence.reserve(tokenCount: tokenCount, from: &pool)
        #expect(sequence.tokenCount == tokenCount)
        #expect(sequence.tokenCapacity >= tokenCount && sequence.tokenCapacity - tokenCount < tokensPerBlock)
        #expect(Set((0..<tokenCount).map { sequence.slot(ofToken: $0) }).count == tokenCount)
        let used = pool.usedCount
        #expect(used == sequence.blocks.count)
        sequence.release(to: &pool)
        let free = pool.freeCount
        #expect(free == 200 && sequence.blocks.isEmpty && sequence.tokenCount == 0)
    }

    @Test func takesNothingWhenThePoolHasTooLittle() throws {
        var pool = BlockPool(blockCount: 3, tokensPerBlock: 4)
        var sequence = SequenceBlocks(pool: pool)
        try sequence.reserve(tokenCount: 5, from: &pool)
        let before = sequence.blocks
        for tokenCount in [13, 1000, Int.max] {
            do {
                try sequence.reserve(tokenCount: tokenCount, from: &pool)
                Issue.record("\(tokenCount) tokens were reserved in 12 places")
            } catch {
                #expect(error == .outOfBlocks(needed: (tokenCount - 1) / 4 + 1 - 2, free: 1))
            }
            let free = pool.freeCount
            #expect(sequence.blocks == before && sequence.tokenCount == 5 && free == 1)
        }
        try sequence.reserve(tokenCount: 12, from: &pool)
        #expect(Array(sequence.blocks.prefix(2)) == before)
    }

    @Test func reservingLessChangesNothing() throws {
        var pool = BlockPool(blockCount: 4, tokensPerBlock: 4)
        var sequence = SequenceBlocks(pool: pool)
        try sequence.reserve(tokenCount: 9, from: &pool)
        try sequence.reserve(tokenCount: 2, from: &pool)
        #expect(sequence.tokenCount == 9 && sequence.blocks.count == 3)
    }

    @Test func saysWhatIsMissing() {
        #expect("\(SchedulingError.outOfBlocks(needed: 1, free: 0))".contains("1 more block is needed, 0 free"))
        #expect("\(SchedulingError.outOfBlocks(needed: 3, free: 2))".contains("3 more blocks are needed, 2 free"))
    }

    /// Many sequences on one pool, against sequences that are only token counts. A write through `slot` must never be
    /// seen by another sequence.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func keepsSequencesApart(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let (blockCount, tokensPerBlock) = (
            Int.random(in: 1...40, using: &random), Int.random(in: 1...9, using: &random)
        )
        var pool = BlockPool(blockCount: blockCount, tokensPerBlock: tokensPerBlock)
        var sequences = (0..<6).map { _ in SequenceBlocks(pool: pool) }
        var model = Array(repeating: 0, count: 6)
        var cache = Array(repeating: -1, count: blockCount * tokensPerBlock)
        func blocks(_ tokens: Int) -> Int { (tokens + tokensPerBlock - 1) / tokensPerBlock }

        for _ in 0..<1500 {
            let index = Int.random(in: 0..<6, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0..<6:
                let wanted = model[index] + Int.random(in: 0...12, using: &random)
                let fits = model.map(blocks).reduce(0, +) - blocks(model[index]) + blocks(wanted) <= blockCount
                do {
                    try sequences[index].reserve(tokenCount: wanted, from: &pool)
                    #expect(fits)
                    for token in model[index]..<wanted {
                        cache[sequences[index].slot(ofToken: token)] = index * 100_000 + token
                    }
                    model[index] = wanted
                } catch {
                    #expect(!fits)
                }
            case 6..<9:
                model[index] = Int.random(in: 0...model[index], using: &random)
                sequences[index].truncate(toTokens: model[index], in: &pool)
            default:
                model[index] = 0
                sequences[index].release(to: &pool)
            }
            let (free, broken) = (pool.freeCount, pool.brokenInvariant(holders: sequences))
            try #require(broken == nil && free == blockCount - model.map(blocks).reduce(0, +))
            try #require(sequences.map(\.tokenCount) == model)
        }
        for (index, sequence) in sequences.enumerated() {
            for token in 0..<sequence.tokenCount {
                #expect(cache[sequence.slot(ofToken: token)] == index * 100_000 + token)
            }
        }
    }

    @Test func noticesABlockThatHasMoreHoldersThanCounted() throws {
        var pool = BlockPool(blockCount: 4, tokensPerBlock: 4)
        var sequence = SequenceBlocks(pool: pool)
        try sequence.reserve(tokenCount: 4, from: &pool)
        let copy = sequence
        let (honest, doubled) = (
            pool.brokenInvariant(holders: [sequence]), pool.brokenInvariant(holders: [sequence, copy])
        )
        #expect(honest == nil && doubled != nil)
        pool.retain(copy.blocks[0])
        let shared = pool.brokenInvariant(holders: [sequence, copy])
        #expect(shared == nil)
    }
}
