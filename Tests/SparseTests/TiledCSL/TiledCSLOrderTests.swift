import Sparse
import Tensors
import TestSupport
import Testing

/// What the order of a tile's words promises to a kernel that stores them to 32 banks.
@Suite struct TiledCSLOrderTests {
    private static let cases: [RandomMatrix] = {
        let densities: [UInt64] = [1, 5, 10, 20, 30, 50, 70, 90, 99, 100]
        let even = densities.map { RandomMatrix(rows: 128, columns: 64, densityPercent: $0, seed: 100 + $0) }
        let uneven = [1, 2, 3, 5, 9, 16, 25, 31].flatMap { bankCount in
            [20, 60, 100].map { densityPercent in
                RandomMatrix(
                    rows: 128, columns: 64, densityPercent: densityPercent, bankCount: bankCount,
                    seed: UInt64(bankCount) * 1000 + densityPercent)
            }
        }
        return even + uneven + [RandomMatrix(rows: 77, columns: 41, densityPercent: 60, seed: 9)]
    }()

    private func encode(_ random: RandomMatrix) throws -> [TiledCSL.Entry] {
        let matrix = try TiledCSL(
            rows: random.rows, columns: random.columns, elements: Storage(random.elements()), valueType: .f16)
        #expect(matrix.tileCount == 1)
        return matrix.words.buffer.map { TiledCSL.Entry(bits: $0) }
    }

    /// The entries that each store of a warp writes, in the order in which they are stored in memory.
    private func stores(_ entries: [TiledCSL.Entry]) -> [[TiledCSL.Entry]] {
        stride(from: 0, to: entries.count, by: 128).flatMap { first in
            let group = Array(entries[first..<min(first + 128, entries.count)])
            return (0..<4).map { word in stride(from: word, to: group.count, by: 4).map { group[$0] } }
        }
    }

    private func occupancy(_ entries: [TiledCSL.Entry]) -> [Int] {
        entries.reduce(into: [Int](repeating: 0, count: 32)) { $0[$1.bank] += 1 }
    }

    @Test(arguments: cases)
    func firstStoresHitDifferentBanks(random: RandomMatrix) throws {
        let entries = try encode(random)
        let conflictFreeCount = min(occupancy(entries).min()!, entries.count / 128 * 4)
        for store in stores(entries).prefix(conflictFreeCount) {
            #expect(Set(store.map(\.bank)).count == 32)
        }
    }

    @Test(arguments: cases)
    func noStoreHitsABankMoreOftenThanItMust(random: RandomMatrix) throws {
        let entries = try encode(random)
        let counts = occupancy(entries)
        // In memory a tile's stores are in the reverse order of draws, so an entry's level is one more than the number
        // of entries of its bank in earlier stores, or in later lanes of its own.
        var levels = [Int](repeating: 0, count: 32)
        for store in stores(entries) {
            for entry in store.reversed() { levels[entry.bank] += 1 }
            let highest = store.map { levels[$0.bank] }.max() ?? 1
            let reaching = counts.count { $0 >= highest }
            #expect(occupancy(store).max()! <= 1 + 31 / reaching)
        }
    }

    @Test func costsFewerCyclesThanRowMajorOrder() throws {
        for densityPercent: UInt64 in [10, 20, 30, 50] {
            let random = RandomMatrix(rows: 128, columns: 64, densityPercent: densityPercent, seed: densityPercent)
            let entries = try encode(random)
            let rowMajor = entries.filter { !$0.isZero }.sorted { ($0.row, $0.column) < ($1.row, $1.column) }
            func cycles(_ entries: [TiledCSL.Entry]) -> Int {
                stores(entries).reduce(0) { $0 + (occupancy($1).max() ?? 0) }
            }
            // A store of distinct banks is one cycle, so the fullest bank's count is the least that any order takes.
            let least = occupancy(entries).max()!
            #expect(cycles(entries) < least * 5 / 4 && cycles(entries) * 2 < cycles(rowMajor))
        }
    }

    /// The released encoder's procedure as it is described: draw from the fullest bank, searched anew for every word.
    @Test(arguments: cases)
    func drawsFromTheFullestBank(random: RandomMatrix) throws {
        let entries = try encode(random)
        var banks = [[TiledCSL.Entry]](repeating: [], count: 32)
        let byPlace = entries.filter { !$0.isZero }.sorted { ($0.row, $0.column) < ($1.row, $1.column) }
        for entry in byPlace { banks[entry.bank].append(entry) }
        for _ in byPlace.count..<entries.count {
            let emptiest = banks.indices.min { (banks[$0].count, $0) < (banks[$1].count, $1) }!
            let taken = Set(banks[emptiest].map(\.position))
            let free = (0..<8192).first { $0 % 64 / 2 == emptiest && !taken.contains($0) }
            // The same position may fill up twice: what it holds already is a zero then.
            let repeated = banks[emptiest].last.flatMap { $0.isZero ? $0.position : nil }
            banks[emptiest].append(TiledCSL.Entry(bits: UInt32(repeated ?? free!) << 16))
        }
        var draws: [TiledCSL.Entry] = []
        while draws.count < entries.count {
            let fullest = banks.indices.max { (banks[$0].count, -$0) < (banks[$1].count, -$1) }!
            draws.append(banks[fullest].removeLast())
        }
        let rest = entries.count % 128 / 4
        var lanes = ArraySlice(draws)
        for store in stores(entries).suffix(rest > 0 ? 4 : 0).reversed()
            + stores(entries).dropLast(rest > 0 ? 4 : 0).reversed()
        {
            #expect(store == Array(lanes.prefix(store.count)))
            lanes = lanes.dropFirst(store.count)
        }
        #expect(lanes.isEmpty)
    }
}
