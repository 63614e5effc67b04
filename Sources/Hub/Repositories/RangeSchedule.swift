/// Which ranges of a file are asked for next, and in which order what arrives is written. Pure: it holds numbers and
/// the pieces that came too early.
///
/// Several connections bring several ranges; the file grows from its beginning only. So a file that is cut off anywhere
/// is a beginning of the right one, whoever goes on with it, and its hash is computed while it grows. The price is
/// memory for pieces that are ahead, which the window limits.
struct RangeSchedule<Piece: Sendable>: Sendable {
    /// The file's size.
    let end: Int
    let rangeByteCount: Int
    /// How far ahead of what is written ranges are given out.
    let windowByteCount: Int
    /// The file's bytes up to here have been handed out by ``receive(_:byteCount:at:)``.
    private(set) var written: Int
    /// Ranges have been given out up to here.
    private(set) var claimed: Int
    /// Pieces that are ahead, by the offset of their first byte.
    private var early: [Int: (piece: Piece, byteCount: Int)] = [:]

    /// - Parameter start: where the file goes on.
    init(from start: Int, to end: Int, rangeByteCount: Int, windowByteCount: Int) {
        precondition((0...end).contains(start) && rangeByteCount > 0 && windowByteCount >= rangeByteCount)
        self.end = end
        self.rangeByteCount = rangeByteCount
        self.windowByteCount = windowByteCount
        written = start
        claimed = start
    }

    var isComplete: Bool { written == end }

    /// The next range to ask for; nil while everything within the window is given out.
    mutating func claim() -> Range<Int>? {
        guard claimed < end, claimed - written <= windowByteCount - rangeByteCount else { return nil }
        let range = claimed..<claimed + min(rangeByteCount, end - claimed)
        claimed = range.upperBound
        return range
    }

    /// Gives out all the rest: a server that knows no ranges sends the file in one.
    mutating func claimRest() { claimed = end }

    /// Takes a piece of a range that was given out.
    /// - Returns: the pieces to write now, in order; empty if this one is ahead.
    /// - Precondition: no byte comes twice.
    mutating func receive(_ piece: Piece, byteCount: Int, at offset: Int) -> [Piece] {
        precondition(offset >= written && byteCount > 0 && offset + byteCount <= claimed, "a piece nobody asked for")
        guard offset == written else {
            precondition(early[offset] == nil, "bytes at \(offset) came twice")
            early[offset] = (piece, byteCount)
            return []
        }
        var ready = [piece]
        written += byteCount
        while let next = early.removeValue(forKey: written) {
            ready.append(next.piece)
            written += next.byteCount
        }
        return ready
    }

    func checkInvariants() {
        precondition(written <= claimed && claimed <= end)
        var places = early.map { $0.key..<$0.key + $0.value.byteCount }
        places.sort { $0.lowerBound < $1.lowerBound }
        for (first, second) in zip(places, places.dropFirst()) { precondition(first.upperBound <= second.lowerBound) }
        if let first = places.first, let last = places.last {
            precondition(first.lowerBound > written && last.upperBound <= claimed)
        }
    }
}
