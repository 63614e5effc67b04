/// Numbers by pairs of ids: what two neighbouring tokens become.
///
/// Open addressing with linear probing, at most two thirds full. A pair's slot is the upper bits of its key times an
/// odd number that each table draws: of pairs that were chosen without that number few meet, so that no file can be
/// built to make them. That takes one multiplication, where Swift's own hash takes twenty steps, and merging is such
/// look-ups.
/// Source: Dietzfelbinger, Hagerup, Katajainen, Penttonen, "A Reliable Randomized Algorithm for the Closest-Pair
/// Problem", Journal of Algorithms 25 (1997), multiply-shift hashing.
struct PairTable: Sendable {
    private struct Slot: Sendable {
        var key: UInt64
        var value: UInt64
    }

    /// What pairs without a value have.
    static let none = UInt64.max
    /// The key of no pair that is stored: ids from -1 on may be looked up.
    private static let free = PairTable.key(-2, -2)

    private var slots: [Slot]
    private var shift: UInt64
    private let multiplier: UInt64
    private(set) var count = 0

    /// - Parameter capacity: pairs that are expected.
    init(capacity: Int = 0) {
        var bits: UInt64 = 4
        while 2 << bits < capacity * 3 { bits += 1 }
        slots = [Slot](repeating: Slot(key: PairTable.free, value: PairTable.none), count: 1 << bits)
        shift = 64 - bits
        multiplier = UInt64.random(in: 0...UInt64.max) | 1
    }

    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }

    /// Where `key` is, or where it belongs.
    @inline(__always)
    private func index(of key: UInt64) -> Int {
        var index = Int(truncatingIfNeeded: (key &* multiplier) >> shift)
        while slots[index].key != key, slots[index].key != PairTable.free { index = (index + 1) & (slots.count - 1) }
        return index
    }

    /// The pair's value, or ``none``.
    @inline(__always)
    func value(_ left: Int32, _ right: Int32) -> UInt64 { slots[index(of: PairTable.key(left, right))].value }

    /// - Returns: the value that the pair had before, or nil.
    @discardableResult
    mutating func update(_ left: Int32, _ right: Int32, to value: UInt64) -> UInt64? {
        precondition(left >= -1 && right >= -1 && value != PairTable.none, "ids and a value")
        if (count + 1) * 3 > slots.count * 2 { grow() }
        let index = index(of: PairTable.key(left, right))
        let old = slots[index].value
        slots[index] = Slot(key: PairTable.key(left, right), value: value)
        if old == PairTable.none { count += 1 }
        return old == PairTable.none ? nil : old
    }

    private mutating func grow() {
        let old = slots
        slots = [Slot](repeating: Slot(key: PairTable.free, value: PairTable.none), count: old.count * 2)
        shift -= 1
        for slot in old where slot.key != PairTable.free { slots[index(of: slot.key)] = slot }
    }
}
