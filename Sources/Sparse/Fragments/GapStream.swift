public import Tensors

/// A weight matrix `[rows, columns]` as a stream of nonzeros, each coded by its distance from the one before, for GPUs.
///
/// A panel of 16 rows is cut into segments of so many strips of 64 columns. A segment's nonzeros are a list of
/// entries (gap, value), in the order of steps, which go down the lines of each strip in a kernel's memory
/// (`FragmentOrder.place(ofStep:)`): a step is the one before it plus the gap, and the first one's predecessor is
/// step -1. A gap beyond the coding's limit is cut by entries of value zero. Entries come in groups of 32 lanes x
/// `laneValues`: lane l has the l-th run of a group. A run lies in one strip, and a group reaches over no more than
/// 3,072 steps (the kernel's memory of expanded places is a ring of 4,096, of which 1,024 are being read). What these
/// rules and a segment's end leave empty is filled up by the entry before once more, with a gap of 0.
///
///     words        [groups, gapWords + laneValues / 2, 32]  UInt32  one word for each lane: gaps from the low bits on,
///                                                                   then values, two in a word
///     firstGroups  [panels * segments + 1]                  UInt32  each segment's first group; the last is the end
///
/// 19.2 to 24 bits per nonzero and none per zero: smaller than a bitmap at 65 % zeros and more. Expanding costs by the
/// nonzero, not by the element, and all lanes have the same to do. The kernel: spmm_gap_stream.cu.
public struct GapStream: Sendable {
    public let rows: Int
    public let columns: Int
    /// f16 or bf16.
    public let valueType: ElementType
    public let coding: GapCoding
    /// Strips of a segment; the last one of a panel may have fewer.
    public let segmentStrips: Int
    public let words: Storage<UInt32>
    public let firstGroups: Storage<UInt32>

    static let lanes = 32
    static let groupReach = 3_072

    public var storedByteCount: Int { words.byteCount + firstGroups.byteCount }
    public var groupCount: Int { Int(firstGroups[firstGroups.count - 1]) }

    static func segmentCount(columns: Int, segmentStrips: Int) -> Int {
        (FragmentOrder.stripCount(columns: columns) + segmentStrips - 1) / segmentStrips
    }

    init(
        unchecked shape: (rows: Int, columns: Int), valueType: ElementType, coding: GapCoding, segmentStrips: Int,
        words: Storage<UInt32>, firstGroups: Storage<UInt32>
    ) {
        rows = shape.rows
        columns = shape.columns
        self.valueType = valueType
        self.coding = coding
        self.segmentStrips = segmentStrips
        self.words = words
        self.firstGroups = firstGroups
    }
}

/// How wide gaps are, and how many entries a lane has in a group: what fits one or two words of gaps.
///
/// Narrow gaps are for dense matrices: 3 bits at 50 %, 4 at 70, 5 at 85, 8 at 95 % zeros.
public enum GapCoding: Int, Sendable, CaseIterable {
    case bits3 = 3
    case bits4 = 4
    case bits5 = 5
    case bits8 = 8

    var gapBits: Int { rawValue }
    var gapWords: Int { self == .bits3 || self == .bits4 ? 2 : 1 }
    var wordGaps: Int { 32 / gapBits }
    /// Entries of a lane in a group.
    var laneValues: Int { gapWords * wordGaps }
    /// Words of a lane in a group.
    var laneWords: Int { gapWords + laneValues / 2 }
    var groupValues: Int { laneValues * GapStream.lanes }
    var groupWords: Int { laneWords * GapStream.lanes }
    var gapLimit: Int { 1 << gapBits - 1 }
}
