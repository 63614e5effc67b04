public import Tensors

/// A weight matrix `[rows, columns]` as streams of nonzeros, one for each lane of a warp, for GPUs.
///
/// A band is two panels of 16 rows, a step 64 columns of it: a strip of each panel. What one lane needs of a strip's
/// fragments is a region, 32 places (`FragmentOrder`). A warp expands strips into a ring of four; a lane fills one
/// region of each strip, in 256 bytes of the ring that are its own. Which region it fills moves from strip to strip:
/// region lane + r, where r is chosen such that lanes have filled about as many nonzeros at any time.
///
/// A lane's nonzeros are entries of a value and a position, the place in its part of the ring. A group is eight entries
/// for each lane, which are all of one lane's next nonzeros up to the end of the step after the one that is being
/// expanded, as far as there are eight; entries that are there already fill up the rest. Before a step is read, groups
/// are stored until no lane lacks a nonzero of it.
///
///     words        [groups, 3, 32, 2]   UInt32  for each lane: values 0-3, two in a word; values 4-7; positions 0-7
///     steps        [bands, steps]       UInt16  low byte for the first panel, high byte for the second: 5 bits, what
///                                               to add to a region's number to have its lane, and 3 bits: the low and
///                                               the high ones of the number of groups to store before the step
///     firstGroups  [bands * steps + 1]  UInt32  the first group of each step; the last is the end
///
/// 24 bits per nonzero and 2 to 25 % of filling, more with more zeros; no bit for a zero. A lane stores eight nonzeros
/// with eight stores and twelve other instructions, and looks at none of the zeros. A product may begin at any step, if
/// it begins to store one step before. The kernel: spmm_lane_stream.cu.
public struct LaneStream: Sendable {
    public let rows: Int
    public let columns: Int
    /// f16 or bf16.
    public let valueType: ElementType
    public let words: Storage<UInt32>
    public let steps: Storage<UInt16>
    public let firstGroups: Storage<UInt32>

    static let lanes = FragmentOrder.lanes
    static let panels = 2
    /// Entries of a lane in a group.
    static let laneEntries = 8
    /// Words of a lane in one of a group's three rows.
    static let rowWords = 2
    static let groupWords = 3 * lanes * rowWords
    static let ringStrips = 4
    /// Shared memory's banks of four bytes.
    static let banks = 32

    public var storedByteCount: Int { words.byteCount + steps.byteCount + firstGroups.byteCount }
    public var groupCount: Int { words.count / Self.groupWords }

    static func bandCount(rows: Int) -> Int { (FragmentOrder.panelCount(rows: rows) + panels - 1) / panels }

    /// Where element `element` (0..<8) of quarter `quarter` of a region is, in the bytes of the lane that fills it.
    /// Lanes swap their quarters, so that eight lanes which read the same one are on different banks.
    static func position(strip: Int, quarter: Int, element: Int, lane: Int) -> Int {
        (((strip % ringStrips * 4 + quarter) ^ lane % 8) * 8 + element) * 2
    }

    /// The dense matrix, row-major 16-bit patterns; zeros are +0.0. Goes the kernel's way.
    public func dense() -> Storage<UInt16> {
        let target = FragmentTarget(rows: rows, columns: columns)
        let stepCount = FragmentOrder.stripCount(columns: columns)
        for band in 0..<Self.bandCount(rows: rows) {
            var ring = [UInt16](repeating: 0, count: Self.lanes * Self.ringStrips * 32)
            for step in 0..<stepCount {
                let index = band * stepCount + step
                for group in Int(firstGroups[index])..<Int(firstGroups[index + 1]) { store(group, to: &ring) }
                for panel in 0..<Self.panels {
                    let shift = Int(steps[index] >> UInt16(8 * panel)) % Self.lanes
                    let strip = step * Self.panels + panel
                    for place in 0..<FragmentOrder.stripPlaces {
                        let lane = (place / 4 % 32 + shift) % Self.lanes
                        let position = Self.position(
                            strip: strip, quarter: place / 256, element: place / 128 % 2 * 4 + place % 4, lane: lane)
                        let value = ring[lane * 128 + position / 2]
                        ring[lane * 128 + position / 2] = 0
                        if value == 0 { continue }
                        target.write(value, panel: band * Self.panels + panel, strip: step, place: place)
                    }
                }
            }
        }
        return target.elements.frozen()
    }

    private func store(_ group: Int, to ring: inout [UInt16]) {
        for lane in 0..<Self.lanes {
            for entry in 0..<Self.laneEntries {
                let (position, value) = self.entry(entry, ofLane: lane, group: group)
                ring[lane * 128 + position / 2] = value
            }
        }
    }

    func entry(_ entry: Int, ofLane lane: Int, group: Int) -> (position: Int, value: UInt16) {
        func word(_ row: Int, _ index: Int) -> UInt32 {
            words[group * Self.groupWords + (row * Self.lanes + lane) * Self.rowWords + index]
        }
        let positions = word(2, entry / 4) >> UInt32(entry % 4 * 8)
        let values = word(entry / 4, entry % 4 / 2) >> UInt32(entry % 2 * 16)
        return (Int(positions & 0xFF), UInt16(truncatingIfNeeded: values))
    }

    init(
        unchecked shape: (rows: Int, columns: Int), valueType: ElementType, words: Storage<UInt32>,
        steps: Storage<UInt16>, firstGroups: Storage<UInt32>
    ) {
        rows = shape.rows
        columns = shape.columns
        self.valueType = valueType
        self.words = words
        self.steps = steps
        self.firstGroups = firstGroups
    }
}
