import Scheduling
import TestSupport
import Testing

@Suite struct BlockPoolTests {
    @Test(arguments: [0, 1, 2, 13, 63, 64, 65])
    func handsOutEveryBlockOnceThenThrows(blockCount: Int) throws {
        var pool = BlockPool(blockCount: blockCount, tokensPerBlock: 16)
        var seen: Set<BlockIndex> = []
        for taken in 0..<blockCount {
            let free = pool.freeCount
            #expect(free == blockCount - taken)
            seen.insert(try pool.allocate())
        }
        #expect(seen == Set(0..<BlockIndex(blockCount)))
        do {
            _ = try pool.allocate()
            Issue.record("a block was handed out twice")
        } catch {
            #expect(error == .outOfBlocks(needed: 1, free: 0))
        }
        let broken = pool.brokenInvariant()
        #expect(broken == nil)
    }

    @Test func keepsASharedBlockUntilItsLastHolderLeaves() throws {
        var pool = BlockPool(blockCount: 2, tokensPerBlock: 4)
        let block = try pool.allocate()
        pool.retain(block)
        pool.release(block)
        let (held, freeWhileHeld) = (pool.referenceCount(of: block), pool.freeCount)
        #expect(held == 1 && freeWhileHeld == 1)
        pool.release(block)
        let (left, freeAfter, used) = (pool.referenceCount(of: block), pool.freeCount, pool.usedCount)
        #expect(left == 0 && freeAfter == 2 && used == 0)
    }

    @Test func countsBlocksWithoutOverflow() {
        let pool = BlockPool(blockCount: 1, tokensPerBlock: 16)
        for (tokens, blocks) in [(0, 0), (1, 1), (15, 1), (16, 1), (17, 2), (Int.max, Int.max / 16 + 1)] {
            let counted = pool.blockCount(forTokens: tokens)
            #expect(counted == blocks)
        }
    }

    @Test func stopsTheProcessOnDoubleRelease() async {
        await #expect(processExitsWith: .failure) {
            var pool = BlockPool(blockCount: 2, tokensPerBlock: 4)
            let block = try pool.allocate()
            pool.release(block)
            pool.release(block)
        }
    }

    @Test func stopsTheProcessWhenAFreeOrForeignBlockIsRetained() async {
        await #expect(processExitsWith: .failure) {
            var pool = BlockPool(blockCount: 2, tokensPerBlock: 4)
            pool.retain(0)
        }
        await #expect(processExitsWith: .failure) {
            var pool = BlockPool(blockCount: 2, tokensPerBlock: 4)
            pool.retain(2)
        }
    }

    /// Against a model that keeps the holders of each block as a plain list.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func agreesWithANaiveModel(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let blockCount = Int.random(in: 1...20, using: &random)
        var pool = BlockPool(blockCount: blockCount, tokensPerBlock: 4)
        var holders: [BlockIndex: Int] = [:]
        for _ in 0..<3000 {
            let held = holders.keys.sorted()
            switch (Int.random(in: 0..<3, using: &random), held.randomElement(using: &random)) {
            case (0, _):
                do {
                    let block = try pool.allocate()
                    #expect(holders[block] == nil, "block \(block) is already held")
                    holders[block] = 1
                } catch {
                    #expect(holders.count == blockCount)
                }
            case (1, .some(let block)):
                pool.retain(block)
                holders[block]! += 1
            case (_, .some(let block)):
                pool.release(block)
                holders[block] = holders[block] == 1 ? nil : holders[block]! - 1
            default: break
            }
            let (free, broken) = (pool.freeCount, pool.brokenInvariant())
            try #require(free == blockCount - holders.count && broken == nil)
        }
        for block in 0..<BlockIndex(blockCount) {
            let count = pool.referenceCount(of: block)
            #expect(count == holders[block] ?? 0)
        }
    }
}
