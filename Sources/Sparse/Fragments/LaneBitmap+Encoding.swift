public import Tensors

extension LaneBitmap {
    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns. Bands are spread over `pool`.
    /// - Throws: `SparseError.notFinite`; `SparseError.tooManyStoredElements` beyond 2^32 groups.
    /// - Complexity: O(rows * columns).
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool? = nil
    ) throws(SparseError) {
        let source = try FragmentSource(rows: rows, columns: columns, elements: elements, valueType: valueType)
        let bands = Self.bandCount(rows: rows)
        let stepCount = FragmentOrder.stripCount(columns: columns)
        let bandWords = Self.bandWords(steps: stepCount)
        let bits = AlignedBuffer<UInt32>(repeating: 0, count: bands * bandWords)
        let encoders = (0..<BandGroups.threadCount(pool)).map { _ in LaneBitmapEncoder(stepCount: stepCount) }
        let found = try BandGroups(bands: bands, steps: stepCount, groupWords: Self.groupWords, pool: pool) {
            encoders[$1].encode($0, of: source, bits: bits.pointer + $0 * bandWords, groups: $2)
        }
        self.init(
            unchecked: (rows, columns), valueType: valueType, words: found.words, bits: bits.frozen(),
            firstGroups: found.firstGroups)
    }
}

/// Encodes one band after the other; for one thread.
private final class LaneBitmapEncoder: @unchecked Sendable {
    private typealias Format = LaneBitmap

    private let stepCount: Int
    private var halfCount: Int { 2 * stepCount }
    private let places = AlignedBuffer<UInt16>(uninitializedCount: FragmentOrder.stripPlaces)
    /// `[halves, lanes, 32]`, a lane's elements in the order of its stream.
    private let elements: AlignedBuffer<UInt16>
    /// `[halves, lanes]`, bit i for element i: which are stored.
    private let stored: AlignedBuffer<UInt32>
    /// Groups that the lanes need by the end of each half.
    private let needed: AlignedBuffer<Int>
    /// Values of each lane so far.
    private let positions = AlignedBuffer<Int>(repeating: 0, count: Format.lanes)
    /// Where a lane's elements of a half are in the strips of the two panels, `[half, lane, element]`.
    private let origins: [Int]

    init(stepCount: Int) {
        self.stepCount = stepCount
        let words = 2 * stepCount * Format.lanes
        elements = AlignedBuffer(uninitializedCount: words * Format.halfElements)
        stored = AlignedBuffer(uninitializedCount: words)
        needed = AlignedBuffer(uninitializedCount: 2 * stepCount)
        origins = (0..<2 * Format.lanes * Format.halfElements).map { index in
            Format.origin(
                ofElement: index % Format.halfElements, half: index / Format.halfElements / Format.lanes,
                lane: index / Format.halfElements % Format.lanes
            ).place
        }
    }

    /// Returns the values of the band's groups, and writes its bits and how many groups each step adds.
    func encode(
        _ band: Int, of source: FragmentSource, bits: UnsafeMutablePointer<UInt32>,
        groups: UnsafeMutablePointer<UInt32>
    ) -> [UInt16] {
        for panel in 0..<Format.panels {
            for step in 0..<stepCount { read(step, panel: panel, ofBand: band, source) }
        }
        keepLanesTogether()
        for step in 0..<stepCount {
            let before = step == 0 ? 0 : needed.pointer[2 * step - 1]
            groups[step] = UInt32(needed.pointer[2 * step + 1] - before)
        }
        return write(bits)
    }

    private func read(_ step: Int, panel: Int, ofBand band: Int, _ source: FragmentSource) {
        // A band's last panel may be missing.
        let isThere = (band * Format.panels + panel) * FragmentOrder.panelRows < source.rows
        if isThere { source.read(panel: band * Format.panels + panel, strip: step, into: places.pointer) }
        let lanes = 2 * Format.lanes
        for lane in 0..<lanes {
            let index = 2 * step * Format.lanes + lane
            var word: UInt32 = panel == 0 ? 0 : stored.pointer[index]
            for element in 16 * panel..<16 * panel + 16 {
                let value = isThere ? places.pointer[origins[lane * Format.halfElements + element]] : 0
                elements.pointer[index * Format.halfElements + element] = value
                if !SixteenBit.isZero(value) { word |= 1 << UInt32(element) }
            }
            stored.pointer[index] = word
        }
    }

    private func count(_ half: Int, _ lane: Int) -> Int { stored.pointer[half * Format.lanes + lane].nonzeroBitCount }

    /// Counts the groups that each half needs: the lane with the most values decides. While a half is expanded, a
    /// window must still hold what its lane has not had yet: a lane that is too far behind stores zeros of the half
    /// before. There are always enough of these: what all lanes need grows by at most a half's elements in a half.
    private func keepLanesTogether() {
        for lane in 0..<Format.lanes { positions.pointer[lane] = 0 }
        func groups(_ most: Int) -> Int { most / Format.groupValues + 1 }
        for half in 0..<halfCount {
            let isLast = half + 1 == halfCount
            var (most, mostNext) = (0, 0)
            for lane in 0..<Format.lanes {
                positions.pointer[lane] += count(half, lane)
                most = max(most, positions.pointer[lane])
                mostNext = max(mostNext, positions.pointer[lane] + (isLast ? 0 : count(half + 1, lane)))
            }
            needed.pointer[half] = groups(most)
            if isLast { return }
            let least = groups(mostNext) * Format.groupValues - Format.windowRows
            for lane in 0..<Format.lanes where positions.pointer[lane] < least {
                let index = half * Format.lanes + lane
                while positions.pointer[lane] < least {
                    stored.pointer[index] |= stored.pointer[index] &+ 1
                    positions.pointer[lane] += 1
                }
            }
        }
    }

    /// Writes the band's bits and returns its values.
    private func write(_ bits: UnsafeMutablePointer<UInt32>) -> [UInt16] {
        let groupCount = needed.pointer[halfCount - 1]
        let words = bits + Format.runs(steps: stepCount) * Format.lanes
        for lane in 0..<Format.lanes { positions.pointer[lane] = 0 }
        var values = [UInt16](repeating: 0, count: groupCount * Format.groupValues * Format.lanes)
        values.withUnsafeMutableBufferPointer { values in
            for half in 0..<halfCount {
                for lane in 0..<Format.lanes {
                    if half % (2 * Format.runSteps) == 0 {
                        bits[half / (2 * Format.runSteps) * Format.lanes + lane] = UInt32(positions.pointer[lane])
                    }
                    let index = half * Format.lanes + lane
                    var left = stored.pointer[index]
                    var word: UInt32 = 0
                    while left != 0 {
                        let element = left.trailingZeroBitCount
                        left &= left - 1
                        word |= 1 << UInt32(Format.bit(element))
                        let position = positions.pointer[lane]
                        positions.pointer[lane] += 1
                        let group = position / Format.groupValues
                        values[(group * Format.lanes + lane) * Format.groupValues + position % Format.groupValues] =
                            elements.pointer[index * Format.halfElements + element]
                    }
                    words[half / 2 * Format.stepWords + lane * 2 + half % 2] = word
                }
            }
        }
        return values
    }
}
