public import Tensors

/// A weight matrix `[rows, columns]` as a bitmap in the order of tensor-core fragments and a stream of values for each
/// lane of a warp, for GPUs.
///
/// A band is two panels of 16 rows, a step 64 columns of it, a half of a step 32. What one lane needs of a half is 32
/// elements, four fragments of four registers of two (`FragmentOrder`): one word of the bitmap. The values of a lane's
/// stored elements follow each other through the band, fragment by fragment and register by register. A group is the
/// next eight of each lane.
///
///     words        [groups, 32, 4]      UInt32  eight f16 or bf16 patterns for each lane
///     bits         [bands, ...]         UInt32  for each band [runs, 32]: how many values each lane has before each
///                                               run of eight steps; then [steps, 32, 2]: bits of the halves. Byte r
///                                               of a word is for register r, its bits 7 - 2 * f and 6 - 2 * f for the
///                                               two elements of it in fragment f, panel * 2 + number
///     firstGroups  [bands * steps + 1]  UInt32  the group after those that all steps before need; the last is the end
///
/// 1.08 bits for each element, 16 for each stored one. A lane that has fewer than others leaves places in groups empty:
/// 3 to 8 % with random zeros. No lane is behind another by more than its window in shared memory holds: some of its
/// zeros are stored for that (`+Encoding`). -0.0 is a zero and comes back as +0.0. The kernel: spmm_lane_bitmap.cu.
public struct LaneBitmap: Sendable {
    public let rows: Int
    public let columns: Int
    /// f16 or bf16.
    public let valueType: ElementType
    public let words: Storage<UInt32>
    public let bits: Storage<UInt32>
    public let firstGroups: Storage<UInt32>

    static let lanes = FragmentOrder.lanes
    static let panels = 2
    /// Elements of a lane in a half step.
    static let halfElements = 32
    /// Values of a lane in a group.
    static let groupValues = 8
    static let groupWords = groupValues / 2 * lanes
    /// Rows of a window: values of a lane that are at hand, with the one before them.
    static let windowRows = 64
    static let runSteps = 8
    static let stepWords = 2 * lanes

    public var storedByteCount: Int { words.byteCount + bits.byteCount + firstGroups.byteCount }

    static func bandCount(rows: Int) -> Int { (FragmentOrder.panelCount(rows: rows) + panels - 1) / panels }

    /// Words of a band's bits.
    static func bandWords(steps: Int) -> Int { runs(steps: steps) * lanes + steps * stepWords }

    static func runs(steps: Int) -> Int { (steps + runSteps - 1) / runSteps }

    /// The bit of a half's word that stands for a lane's element `index`, 0..<32 in the order of its stream.
    static func bit(_ index: Int) -> Int { index / 2 % 4 * 8 + 7 - index / 8 * 2 - index % 2 }

    /// The panel, and the place in its strip, of a lane's element `index` of a half.
    static func origin(ofElement index: Int, half: Int, lane: Int) -> (panel: Int, place: Int) {
        let (panel, number) = (index / 16, index / 8 % 2)
        let (register, element) = (index / 2 % 4, index % 2)
        let run = (2 * half + number) * 2 + register / 2
        return (panel, (run * lanes + lane) * FragmentOrder.run + register % 2 * 2 + element)
    }

    /// The dense matrix, row-major 16-bit patterns; zeros are +0.0. Goes the kernel's way.
    public func dense() -> Storage<UInt16> {
        let target = FragmentTarget(rows: rows, columns: columns)
        let steps = FragmentOrder.stripCount(columns: columns)
        for band in 0..<Self.bandCount(rows: rows) {
            let firstValue = Int(firstGroups[band * steps]) * Self.groupValues
            for lane in 0..<Self.lanes {
                var position = firstValue
                for half in 0..<2 * steps {
                    let word = self.word(band: band, half: half, lane: lane, steps: steps)
                    for index in 0..<Self.halfElements where word >> UInt32(Self.bit(index)) & 1 == 1 {
                        let value = self.value(position, ofLane: lane)
                        position += 1
                        if SixteenBit.isZero(value) { continue }
                        let (panel, place) = Self.origin(ofElement: index, half: half % 2, lane: lane)
                        target.write(value, panel: band * Self.panels + panel, strip: half / 2, place: place)
                    }
                }
            }
        }
        return target.elements.frozen()
    }

    func word(band: Int, half: Int, lane: Int, steps: Int) -> UInt32 {
        let first = band * Self.bandWords(steps: steps) + Self.runs(steps: steps) * Self.lanes
        return bits[first + half / 2 * Self.stepWords + lane * 2 + half % 2]
    }

    private func value(_ position: Int, ofLane lane: Int) -> UInt16 {
        let group = position / Self.groupValues
        let word = words[group * Self.groupWords + lane * Self.groupValues / 2 + position % Self.groupValues / 2]
        return UInt16(truncatingIfNeeded: word >> UInt32(position % 2 * 16))
    }

    init(
        unchecked shape: (rows: Int, columns: Int), valueType: ElementType, words: Storage<UInt32>,
        bits: Storage<UInt32>, firstGroups: Storage<UInt32>
    ) {
        rows = shape.rows
        columns = shape.columns
        self.valueType = valueType
        self.words = words
        self.bits = bits
        self.firstGroups = firstGroups
    }
}
