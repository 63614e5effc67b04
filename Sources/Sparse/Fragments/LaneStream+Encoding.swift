public import Tensors

extension LaneStream {
    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns. Bands are spread over `pool`.
    /// - Throws: `SparseError.notFinite`; `SparseError.tooManyStoredElements` beyond 2^32 groups.
    /// - Complexity: O(rows * columns).
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool? = nil
    ) throws(SparseError) {
        let source = try FragmentSource(rows: rows, columns: columns, elements: elements, valueType: valueType)
        let bands = Self.bandCount(rows: rows)
        let stepCount = FragmentOrder.stripCount(columns: columns)
        let steps = AlignedBuffer<UInt16>(uninitializedCount: bands * stepCount)
        let encoders = (0..<BandGroups.threadCount(pool)).map { _ in BandEncoder(stepCount: stepCount) }
        let found = try BandGroups(bands: bands, steps: stepCount, groupWords: Self.groupWords, pool: pool) {
            encoders[$1].encode($0, of: source, steps: steps.pointer + $0 * stepCount, groups: $2)
        }
        self.init(
            unchecked: (rows, columns), valueType: valueType, words: found.words, steps: steps.frozen(),
            firstGroups: found.firstGroups)
    }
}

/// Encodes one band after the other; for one thread.
private final class BandEncoder: @unchecked Sendable {
    private typealias Stream = LaneStream

    private let stepCount: Int
    /// Entries that a lane can have in a band.
    private let capacity: Int
    private let places = AlignedBuffer<UInt16>(uninitializedCount: FragmentOrder.stripPlaces)
    /// The band's nonzeros, lane by lane: strip << 32 | position << 16 | value.
    private let entries: AlignedBuffer<UInt64>
    private let counts = AlignedBuffer<Int>(repeating: 0, count: Stream.lanes)
    /// Entries of each lane that are in groups.
    private let stored = AlignedBuffer<Int>(repeating: 0, count: Stream.lanes)
    /// Nonzeros of each region of a strip.
    private let regionCounts = AlignedBuffer<Int>(repeating: 0, count: Stream.lanes)
    /// A group: what each lane stores, and how many of that are its next nonzeros.
    private let group = AlignedBuffer<UInt32>(repeating: 0, count: Stream.lanes * Stream.laneEntries)
    private let fresh = AlignedBuffer<Int>(repeating: 0, count: Stream.lanes)
    private let bankLoads = AlignedBuffer<UInt8>(repeating: 0, count: Stream.banks)

    init(stepCount: Int) {
        self.stepCount = stepCount
        capacity = stepCount * Stream.panels * FragmentOrder.stripPlaces / Stream.lanes
        entries = AlignedBuffer(uninitializedCount: capacity * Stream.lanes)
    }

    /// Returns the words of the band's groups, and writes what is said of its steps.
    func encode(
        _ band: Int, of source: FragmentSource, steps: UnsafeMutablePointer<UInt16>,
        groups: UnsafeMutablePointer<UInt32>
    ) -> [UInt32] {
        for lane in 0..<Stream.lanes {
            counts.pointer[lane] = 0
            stored.pointer[lane] = 0
        }
        for step in 0..<stepCount {
            var said: UInt16 = 0
            for panel in 0..<Stream.panels {
                let shift = addStrip(step, panel: band * Stream.panels + panel, place: panel, of: source)
                said |= UInt16((Stream.lanes - shift) % Stream.lanes) << UInt16(8 * panel)
            }
            steps[step] = said
        }
        var words: [UInt32] = []
        words.reserveCapacity(counts.elements.reduce(0, +) / Stream.lanes * Stream.groupWords / 7)
        for step in 0..<stepCount {
            var needed: UInt16 = 0
            while lacksNonzeros(of: step) {
                takeGroup(before: step)
                appendGroup(to: &words)
                needed += 1
            }
            // A lane has at most 64 nonzeros of a step, eight groups.
            steps[step] |= (needed % 8) << 5 | (needed / 8) << 13
            groups[step] = UInt32(needed)
        }
        return words
    }

    /// Gives the regions of a strip to lanes, and the nonzeros to their entries. Returns how far regions move.
    private func addStrip(_ step: Int, panel: Int, place: Int, of source: FragmentSource) -> Int {
        // A band's last panel may be missing.
        guard panel * FragmentOrder.panelRows < source.rows else { return 0 }
        source.read(panel: panel, strip: step, into: places.pointer)
        for lane in 0..<Stream.lanes { regionCounts.pointer[lane] = 0 }
        for index in 0..<FragmentOrder.stripPlaces where !SixteenBit.isZero(places.pointer[index]) {
            regionCounts.pointer[index / 4 % Stream.lanes] += 1
        }
        let shift = levelingShift()
        let strip = step * Stream.panels + place
        for index in 0..<FragmentOrder.stripPlaces where !SixteenBit.isZero(places.pointer[index]) {
            let lane = (index / 4 + Stream.lanes - shift) % Stream.lanes
            let position = Stream.position(
                strip: strip, quarter: index / 256, element: index / 128 % 2 * 4 + index % 4, lane: lane)
            entries.pointer[lane * capacity + counts.pointer[lane]] =
                UInt64(strip) << 32 | UInt64(position) << 16 | UInt64(places.pointer[index])
            counts.pointer[lane] += 1
        }
        return shift
    }

    /// How far to move regions such that lanes which have more than others get fewer: lane l gets region l + shift. The
    /// sum of squares of what lanes have is the least if the products of what they have and get add up to the least.
    private func levelingShift() -> Int {
        let least = counts.elements.min()!
        var best = (shift: 0, cost: Int.max)
        for shift in 0..<Stream.lanes {
            var cost = 0
            for lane in 0..<Stream.lanes {
                cost += (counts.pointer[lane] - least) * regionCounts.pointer[(lane + shift) % Stream.lanes]
            }
            if cost < best.cost { best = (shift, cost) }
        }
        return best.shift
    }

    private func strip(_ lane: Int, _ entry: Int) -> Int { Int(entries.pointer[lane * capacity + entry] >> 32) }

    private func lacksNonzeros(of step: Int) -> Bool {
        let end = (step + 1) * Stream.panels
        return (0..<Stream.lanes).contains { lane in
            stored.pointer[lane] < counts.pointer[lane] && strip(lane, stored.pointer[lane]) < end
        }
    }

    /// Takes every lane's next entries, of strips that the ring has room for while `step` has not been read.
    private func takeGroup(before step: Int) {
        let begin = step * Stream.panels
        let end = begin + Stream.ringStrips
        for lane in 0..<Stream.lanes {
            let own = group.pointer + lane * Stream.laneEntries
            let first = stored.pointer[lane]
            var count = 0
            while count < Stream.laneEntries, first + count < counts.pointer[lane], strip(lane, first + count) < end {
                own[count] = UInt32(truncatingIfNeeded: entries.pointer[lane * capacity + first + count])
                count += 1
            }
            stored.pointer[lane] += count
            fresh.pointer[lane] = count
            // The rest says again what is there already: or that a place is zero which is so, for want of nonzeros.
            var again = UInt32(Stream.position(strip: begin, quarter: 0, element: 0, lane: lane)) << 16
            if count > 0 {
                again = own[count - 1]
            } else if first > 0 && strip(lane, first - 1) >= begin {
                again = UInt32(truncatingIfNeeded: entries.pointer[lane * capacity + first - 1])
            }
            for index in count..<Stream.laneEntries { own[index] = again }
        }
    }

    private static func bank(_ entry: UInt32) -> Int { Int(entry >> 18) % Stream.banks }

    /// Writes the group, each lane's entries in an order that spreads each store over the banks: a lane takes the entry
    /// whose bank has been taken by the fewest before it.
    private func appendGroup(to words: inout [UInt32]) {
        let first = words.count
        words.append(contentsOf: repeatElement(0, count: Stream.groupWords))
        words.withUnsafeMutableBufferPointer { buffer in
            let target = buffer.baseAddress! + first
            var taken: InlineArray<32, UInt8> = .init(repeating: 0)
            for turn in 0..<Stream.laneEntries {
                for bank in 0..<Stream.banks { bankLoads.pointer[bank] = 0 }
                for lane in 0..<Stream.lanes {
                    let own = group.pointer + lane * Stream.laneEntries
                    var best = -1
                    for index in 0..<Stream.laneEntries where taken[lane] >> UInt8(index) & 1 == 0 {
                        if best < 0 || load(own[index]) < load(own[best]) { best = index }
                    }
                    taken[lane] |= 1 << UInt8(best)
                    // What fills up may say any of the lane's entries again.
                    var entry = own[best]
                    if best >= fresh.pointer[lane] {
                        for index in 0..<fresh.pointer[lane] where load(own[index]) < load(entry) { entry = own[index] }
                    }
                    bankLoads.pointer[Self.bank(entry)] += 1
                    put(entry, turn, lane, target)
                }
            }
        }
    }

    private func load(_ entry: UInt32) -> UInt8 { bankLoads.pointer[Self.bank(entry)] }

    private func put(_ entry: UInt32, _ turn: Int, _ lane: Int, _ group: UnsafeMutablePointer<UInt32>) {
        func word(_ row: Int, _ index: Int) -> UnsafeMutablePointer<UInt32> {
            group + (row * Stream.lanes + lane) * Stream.rowWords + index
        }
        word(turn / 4, turn % 4 / 2).pointee |= (entry & 0xFFFF) << UInt32(turn % 2 * 16)
        word(2, turn / 4).pointee |= (entry >> 16 & 0xFF) << UInt32(turn % 4 * 8)
    }
}
