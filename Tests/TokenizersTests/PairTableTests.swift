import TestSupport
import Testing

@testable import Tokenizers

@Suite struct PairTableTests {
    /// As a dictionary does, while it grows from the smallest size.
    @Test(arguments: [0, 1, 2, 10, 11, 100, 5_000])
    func agreesWithADictionary(count: Int) {
        var generator = SplitMix64(seed: UInt64(count))
        var table = PairTable()
        var reference: [[Int32]: UInt64] = [:]
        func pair() -> [Int32] { (0..<2).map { _ in Int32.random(in: -1...70, using: &generator) } }
        for _ in 0..<count {
            let pair = pair()
            let value = UInt64.random(in: 0..<PairTable.none, using: &generator)
            #expect(table.update(pair[0], pair[1], to: value) == reference.updateValue(value, forKey: pair))
        }
        #expect(table.count == reference.count)
        for left in Int32(-1)...70 {
            for right in Int32(-1)...70 {
                #expect(table.value(left, right) == reference[[left, right]] ?? PairTable.none)
            }
        }
        #expect(table.value(.max, .max) == PairTable.none)
    }

    @Test func holdsWhatItWasMadeFor() {
        var table = PairTable(capacity: 1_000)
        for id in Int32(0)..<1_000 { table.update(id, id / 3, to: UInt64(id)) }
        #expect((0..<1_000).allSatisfy { table.value($0, $0 / 3) == UInt64($0) })
    }
}
