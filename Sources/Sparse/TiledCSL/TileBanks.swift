import Tensors

/// The nonzeros of one tile, sorted into the 32 banks of on-chip memory that they will be stored to, and the order in
/// which they leave.
///
/// A warp expands a tile by store instructions of 32 lanes; lane `b` of a group of 32 vectors stores word `v` of vector
/// `b`. Two lanes that hit the same bank cost two cycles. The encoder released with Flash-LLM therefore draws the
/// words, one after the other, from the fullest bank (of several, the one with the lowest number; in a bank, the last
/// word first), and fills the tile's memory from its end: first the incomplete group of vectors, then the last complete
/// group and so on; in a group, word 3 of every vector, then word 2, 1 and 0.
///
/// Drawing from the fullest bank is the same as drawing *level by level*: call the n-th word of a bank (in row-major
/// order) level n; then all words of the highest level leave by ascending bank, then those of the level below, and so
/// on, because a bank that has given its word of a level is not the fullest again before all others have given theirs.
/// So the order needs no search for a maximum; it takes O(words).
///
/// What that guarantees, with `p(n)` the number of banks that hold at least n words:
/// - the draws of levels that all 32 banks have come last, 32 at a time; so the first stores of a tile, as many as the
///   emptiest bank has words (or as there are in complete groups), hit 32 different banks each;
/// - in any store, a bank is hit at most `1 + 31 / p(n)` times, n the highest level in that store.
///
/// Source: Flash-LLM, arXiv:2309.10285, section 4 (ahead-of-time sparse data reordering), and the released encoder.
struct TileBanks {
    static let bankCount = 32
    /// Lanes of a warp.
    static let laneCount = 32
    /// Words that one bank can hold: two columns of 128 rows.
    static let capacity = TiledCSL.tileArea / bankCount

    /// `[32, capacity + 1]`: the words of each bank in row-major order of their elements. The spare slot takes the
    /// unconditional store of an element that is not kept when the bank is full.
    private let entries = AlignedBuffer<UInt32>(uninitializedCount: bankCount * (capacity + 1))
    /// `[32]`: how many words each bank holds.
    private let counts = AlignedBuffer<Int>(repeating: 0, count: bankCount)

    /// Replaces what is held by the nonzeros of `tile`.
    func collect(_ tile: DenseTile) {
        counts.elements.update(repeating: 0)
        let entries = entries.pointer
        let counts = counts.pointer
        for row in 0..<tile.height {
            let line = tile.origin + row &* tile.stride
            let swizzle = TiledCSL.Entry.swizzle(row: row)
            var column = 0
            while column < tile.width {
                // Which elements are kept is random at 50 % density, so a branch would be mispredicted every other
                // time.
                let value = line[column]
                let place = column ^ swizzle
                let bank = place >> 1
                let count = counts[bank]
                let position = UInt32(truncatingIfNeeded: row &* TiledCSL.tileWidth &+ place)
                entries[bank &* (Self.capacity &+ 1) &+ count] = UInt32(value) | position << 16
                counts[bank] = count &+ (value & 0x7FFF == 0 ? 0 : 1)
                column &+= 1
            }
        }
    }

    var wordCount: Int { counts.elements.reduce(0, +) }

    /// Adds words of value zero until there are `wordCount`: each in the emptiest bank (the lowest of several), at the
    /// first position of that bank whose element is zero.
    /// - Precondition: `tile` is what was collected, and `wordCount` at most the tile's area.
    func pad(to wordCount: Int, of tile: DenseTile) {
        for _ in self.wordCount..<wordCount {
            var emptiest = 0
            for bank in 1..<Self.bankCount where counts.elements[bank] < counts.elements[emptiest] { emptiest = bank }
            let count = counts.elements[emptiest]
            precondition(count < Self.capacity, "a tile of nonzeros only needs no padding")
            let position = UInt32(truncatingIfNeeded: tile.firstZeroPosition(inBank: emptiest))
            entries.elements[emptiest * (Self.capacity + 1) + count] = position << 16
            counts.elements[emptiest] = count + 1
        }
    }

    /// Writes all words, in the order described above, to `output`, which takes `wordCount` words, a multiple of four.
    func drain(into output: UnsafeMutablePointer<UInt32>, wordCount: Int) {
        precondition(wordCount == self.wordCount && wordCount % TiledCSL.vectorLength == 0)
        let groupLength = Self.laneCount * TiledCSL.vectorLength
        let (completeGroups, rest) = wordCount.quotientAndRemainder(dividingBy: groupLength)
        var draws = Draws(banks: self)
        store(&draws, lanes: rest / TiledCSL.vectorLength, to: output + completeGroups * groupLength)
        for group in (0..<completeGroups).reversed() {
            store(&draws, lanes: Self.laneCount, to: output + group * groupLength)
        }
    }

    /// Draws the words of one group of vectors, the last word of each vector first.
    private func store(_ draws: inout Draws, lanes: Int, to group: UnsafeMutablePointer<UInt32>) {
        var word = TiledCSL.vectorLength
        while word > 0 {
            word &-= 1
            var lane = 0
            while lane < lanes {
                group[lane &* TiledCSL.vectorLength &+ word] = draws.next()
                lane &+= 1
            }
        }
    }

    /// Gives out the words level by level, the highest first, and in a level by ascending bank.
    private struct Draws {
        private let entries: UnsafePointer<UInt32>
        /// For each number of words, a bit for every bank that holds exactly so many.
        private let banksWithCount: InlineArray<257, UInt32>
        private var level: Int
        /// A bit for every bank that reaches `level`.
        private var banksAtLevel: UInt32
        /// Those of them that have not given their word yet.
        private var remainingBanks: UInt32

        init(banks: TileBanks) {
            entries = UnsafePointer(banks.entries.pointer)
            var banksWithCount = InlineArray<257, UInt32>(repeating: 0)
            var highest = 0
            for (bank, count) in banks.counts.elements.enumerated() {
                banksWithCount[count] |= 1 << UInt32(bank)
                highest = max(highest, count)
            }
            self.banksWithCount = banksWithCount
            level = highest
            banksAtLevel = banksWithCount[highest]
            remainingBanks = banksAtLevel
        }

        /// - Precondition: fewer words were drawn than there are.
        mutating func next() -> UInt32 {
            if remainingBanks == 0 {
                level &-= 1
                banksAtLevel |= banksWithCount[level]
                remainingBanks = banksAtLevel
            }
            let bank = remainingBanks.trailingZeroBitCount
            remainingBanks &= remainingBanks &- 1
            return entries[bank &* (TileBanks.capacity &+ 1) &+ level &- 1]
        }
    }
}

/// A tile's place in a dense row-major matrix. Tiles at the right and bottom edge may be narrower and lower than 64 x
/// 128; what is missing counts as zero.
struct DenseTile {
    /// The tile's first element.
    let origin: UnsafePointer<UInt16>
    /// Elements from one row to the next.
    let stride: Int
    /// Rows inside the matrix, 1...128.
    let height: Int
    /// Columns inside the matrix, 1...64.
    let width: Int

    /// The lowest position of `bank` whose element is zero.
    /// - Precondition: there is one.
    func firstZeroPosition(inBank bank: Int) -> Int {
        for row in 0..<TiledCSL.tileHeight {
            for place in [2 * bank, 2 * bank + 1] {
                let column = place ^ TiledCSL.Entry.swizzle(row: row)
                let isInside = row < height && column < width
                if !isInside || origin[row * stride + column] & 0x7FFF == 0 {
                    return row * TiledCSL.tileWidth + place
                }
            }
        }
        preconditionFailure("bank \(bank) holds no zero")
    }
}
