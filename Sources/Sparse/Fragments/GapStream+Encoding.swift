public import Tensors

extension GapStream {
    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns. Panels are spread over `pool`.
    /// - Parameters:
    ///   - coding: the smallest one if nil.
    ///   - segmentStrips: kernels cut the columns into slices of whole segments; about half a group is lost with each.
    /// - Throws: `SparseError.notFinite`; `SparseError.tooManyStoredElements` beyond 2^32 groups.
    /// - Complexity: O(rows * columns).
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, coding: GapCoding? = nil,
        segmentStrips: Int, pool: WorkerPool? = nil
    ) throws(SparseError) {
        precondition(segmentStrips >= 1)
        let source = try FragmentSource(rows: rows, columns: columns, elements: elements, valueType: valueType)
        let counts = Self.countGroups(source, coding.map { [$0] } ?? GapCoding.allCases, segmentStrips, pool)
        // The first of equals, whose gaps are narrower and groups larger.
        let chosen = counts.min { Self.wordCount($0) < Self.wordCount($1) }!
        let firstGroups = try FragmentBitmap.runningSum(chosen.groups)
        let words = AlignedBuffer<UInt32>(
            repeating: 0, count: Int(firstGroups.pointer[firstGroups.count - 1]) * chosen.coding.groupWords)
        let segments = Self.segmentCount(columns: columns, segmentStrips: segmentStrips)
        source.forEachPanel(pool) { panel, places in
            for segment in 0..<segments {
                let first = Int(firstGroups.pointer[panel * segments + segment])
                var writer = GroupWriter(chosen.coding, into: words.pointer + first * chosen.coding.groupWords)
                source.forEachNonzero(panel, segment, segmentStrips, places) { writer.append($0, step: $1) }
                writer.finish()
            }
        }
        self.init(
            unchecked: (rows, columns), valueType: valueType, coding: chosen.coding, segmentStrips: segmentStrips,
            words: words.frozen(), firstGroups: firstGroups.frozen())
    }

    private typealias GroupCounts = (coding: GapCoding, groups: AlignedBuffer<UInt32>)

    private static func wordCount(_ counts: GroupCounts) -> Int {
        counts.groups.elements.reduce(0) { $0 + Int($1) } * counts.coding.groupWords
    }

    /// The groups of each segment, in each coding.
    private static func countGroups(
        _ source: FragmentSource, _ codings: [GapCoding], _ segmentStrips: Int, _ pool: WorkerPool?
    ) -> [GroupCounts] {
        let segments = segmentCount(columns: source.columns, segmentStrips: segmentStrips)
        let panels = FragmentOrder.panelCount(rows: source.rows)
        let counts = codings.map { (coding: $0, groups: AlignedBuffer<UInt32>(repeating: 0, count: panels * segments)) }
        source.forEachPanel(pool) { panel, places in
            for segment in 0..<segments {
                var writers = codings.map { GroupWriter($0, into: nil) }
                source.forEachNonzero(panel, segment, segmentStrips, places) { value, step in
                    for index in writers.indices { writers[index].append(value, step: step) }
                }
                for index in writers.indices {
                    writers[index].finish()
                    counts[index].groups.pointer[panel * segments + segment] = UInt32(writers[index].groups)
                }
            }
        }
        return counts
    }

    /// The dense matrix, row-major 16-bit patterns; zeros are +0.0.
    public func dense() -> Storage<UInt16> {
        let target = FragmentTarget(rows: rows, columns: columns)
        let segments = Self.segmentCount(columns: columns, segmentStrips: segmentStrips)
        for index in 0..<firstGroups.count - 1 {
            var step = -1
            for group in Int(firstGroups[index])..<Int(firstGroups[index + 1]) {
                for entry in 0..<coding.groupValues {
                    let (gap, value) = self.entry(entry, ofGroup: group)
                    step += gap
                    if SixteenBit.isZero(value) { continue }
                    let strip = index % segments * segmentStrips + step / FragmentOrder.stripPlaces
                    let place = FragmentOrder.place(ofStep: step % FragmentOrder.stripPlaces)
                    target.write(value, panel: index / segments, strip: strip, place: place)
                }
            }
        }
        return target.elements.frozen()
    }

    /// Entry `index` of a group, counted lane by lane.
    func entry(_ index: Int, ofGroup group: Int) -> (gap: Int, value: UInt16) {
        let (lane, place) = (index / coding.laneValues, index % coding.laneValues)
        func word(_ row: Int) -> UInt32 { words[(group * coding.laneWords + row) * Self.lanes + lane] }
        let gaps = word(place / coding.wordGaps) >> UInt32(place % coding.wordGaps * coding.gapBits)
        let values = word(coding.gapWords + place / 2) >> UInt32(place % 2 * 16)
        return (Int(gaps & (1 << UInt32(coding.gapBits) - 1)), UInt16(truncatingIfNeeded: values))
    }
}

extension FragmentSource {
    /// Calls `body(value, step)` for the nonzeros of a segment, steps in ascending order.
    fileprivate func forEachNonzero(
        _ panel: Int, _ segment: Int, _ segmentStrips: Int, _ places: UnsafeMutablePointer<UInt16>,
        _ body: (UInt16, Int) -> Void
    ) {
        let first = segment * segmentStrips
        let end = min(first + segmentStrips, FragmentOrder.stripCount(columns: columns))
        for strip in first..<end {
            read(panel: panel, strip: strip, into: places)
            let before = (strip - first) * FragmentOrder.stripPlaces
            for step in 0..<FragmentOrder.stripPlaces {
                let value = places[FragmentOrder.place(ofStep: step)]
                if !SixteenBit.isZero(value) { body(value, before + step) }
            }
        }
    }
}

/// Turns the nonzeros of a segment into groups, or only counts these.
private struct GroupWriter {
    let coding: GapCoding
    /// The words of the segment's groups, all zero yet.
    let words: UnsafeMutablePointer<UInt32>?
    private(set) var groups = 0
    private var entries = 0  // of the last group
    private var reach = 0  // of the last group: its gaps added up
    private var last = -1  // step
    private var laneStrip = 0  // of the last lane's run
    private var lastValue: UInt16 = 0

    init(_ coding: GapCoding, into words: UnsafeMutablePointer<UInt32>?) {
        self.coding = coding
        self.words = words
    }

    mutating func append(_ value: UInt16, step: Int) {
        while step - last > coding.gapLimit { put(coding.gapLimit, 0) }
        put(step - last, value)
    }

    /// Fills the last group up.
    mutating func finish() {
        if groups == 0 { return }
        while entries < coding.groupValues { write(0, lastValue) }
    }

    private mutating func put(_ gap: Int, _ value: UInt16) {
        // A lane's run stays in one strip.
        let strip = (last + gap) / FragmentOrder.stripPlaces
        while entries % coding.laneValues > 0 && strip != laneStrip { write(0, lastValue) }
        if groups == 0 || entries == coding.groupValues || reach + gap > GapStream.groupReach {
            finish()
            groups += 1
            entries = 0
            reach = 0
        }
        if entries % coding.laneValues == 0 { laneStrip = strip }
        reach += gap
        last += gap
        lastValue = value
        write(gap, value)
    }

    private mutating func write(_ gap: Int, _ value: UInt16) {
        let (lane, place) = (entries / coding.laneValues, entries % coding.laneValues)
        entries += 1
        guard let words else { return }
        let group = words + (groups - 1) * coding.groupWords + lane
        group[place / coding.wordGaps * GapStream.lanes] |=
            UInt32(gap) << UInt32(place % coding.wordGaps * coding.gapBits)
        group[(coding.gapWords + place / 2) * GapStream.lanes] |= UInt32(value) << UInt32(place % 2 * 16)
    }
}
