public import Tensors

extension TiledCSL {
    /// How much of the stored arrays an `init` looks at.
    public enum Check: Sendable {
        /// All: every word and every offset. Reads the arrays whole.
        case everything
        /// The tile offsets only, so that mapped words stay on disk until they are used. For files whose words are
        /// covered by a checksum. What the words hold is then unknown: a kernel stays inside a tile only if it masks
        /// positions to 13 bits, and may find nonzeros in the padding. ``TiledCSL/dense()`` copes with all of that.
        case tileOffsets
    }

    /// A matrix from arrays on disk, which stay where they are.
    /// - Parameters:
    ///   - rows, columns: sides of the matrix without padding.
    ///   - words: the stored words of all tiles.
    ///   - tileOffsets: `tileCount + 2` offsets in vectors of four words.
    ///   - valueType: `.f16` or `.bf16`.
    /// - Throws: `SparseError` naming the first offset or word that breaks an invariant.
    /// - Complexity: O(stored words + tiles), or O(tiles) if only the offsets are checked. Allocates 1 KB.
    public init(
        rows: Int, columns: Int, words: Storage<UInt32>, tileOffsets: Storage<Int32>, valueType: ElementType,
        checking check: Check = .everything
    ) throws(SparseError) {
        let shape = try TiledCSLShape(rows: rows, columns: columns)
        _ = try Self.nonFiniteMagnitude(valueType)
        self.init(unchecked: shape, valueType: valueType, words: words, tileOffsets: tileOffsets)
        switch check {
        case .everything: try checkInvariants()
        case .tileOffsets: try checkOffsets()
        }
    }

    /// Checks every offset and every word.
    /// - Throws: `SparseError` naming the first that breaks an invariant of the format.
    /// - Complexity: O(stored words + tiles).
    public func checkInvariants() throws(SparseError) {
        try checkOffsets()
        let nonFiniteMagnitude = try Self.nonFiniteMagnitude(valueType)
        var isOccupied = TileMask()
        for tileRow in 0..<tileRowCount {
            for tileColumn in 0..<tileColumnCount {
                try checkTile(tileRow, tileColumn, nonFiniteMagnitude, &isOccupied)
            }
        }
    }

    private func checkOffsets() throws(SparseError) {
        let wordCount = try Self.wordCount(tileOffsets: tileOffsets, shape: shape)
        guard words.count == wordCount else {
            throw .wrongElementCount(array: "the array of words", expected: wordCount, found: words.count)
        }
    }

    /// The number of words that `tileOffsets` stands for.
    /// - Throws: `SparseError` unless there is the right number of offsets, they begin with 0, none is smaller than the
    ///   one before it or larger by more than a tile, and the last two are equal.
    static func wordCount(tileOffsets: Storage<Int32>, shape: TiledCSLShape) throws(SparseError) -> Int {
        guard tileOffsets.count == shape.tileOffsetCount else {
            throw .wrongElementCount(
                array: "the array of tile offsets", expected: shape.tileOffsetCount, found: tileOffsets.count)
        }
        guard tileOffsets[0] == 0 else {
            throw .invalidTileOffset(index: 0, expected: "0", found: Int(tileOffsets[0]))
        }
        var last = 0
        for index in 1...shape.tileCount {
            let offset = Int(tileOffsets[index])
            let limit = last + tileArea / vectorLength
            guard offset >= last, offset <= limit else {
                throw .invalidTileOffset(index: index, expected: "\(last) to \(limit)", found: offset)
            }
            last = offset
        }
        let repeated = Int(tileOffsets[shape.tileCount + 1])
        guard repeated == last else {
            throw .invalidTileOffset(
                index: shape.tileCount + 1, expected: "\(last) as the offset before it", found: repeated)
        }
        return last * vectorLength
    }

    /// - Parameter isOccupied: scratch, reused from tile to tile.
    private func checkTile(
        _ tileRow: Int, _ tileColumn: Int, _ nonFiniteMagnitude: UInt16, _ isOccupied: inout TileMask
    ) throws(SparseError) {
        let rowRange = shape.rowRange(ofTileRow: tileRow)
        let columnRange = shape.columnRange(ofTileColumn: tileColumn)
        let range = wordRange(tileRow: tileRow, tileColumn: tileColumn)
        isOccupied.clear()
        var zeroCount = 0
        for index in range {
            let entry = Entry(bits: words.pointer[index])
            guard entry.position < Self.tileArea else {
                throw .invalidEntry(
                    index: index, .positionOutsideTile(position: entry.position, limit: Self.tileArea))
            }
            if entry.isZero {
                zeroCount += 1
                continue
            }
            let row = rowRange.lowerBound + entry.row
            let column = columnRange.lowerBound + entry.column
            guard row < rowRange.upperBound, column < columnRange.upperBound else {
                throw .invalidEntry(index: index, .outsideMatrix(row: row, column: column))
            }
            guard entry.value & 0x7FFF < nonFiniteMagnitude else {
                throw .invalidEntry(index: index, .notFinite(row: row, column: column))
            }
            guard isOccupied.insert(entry.position) else {
                throw .invalidEntry(index: index, .repeated(row: row, column: column))
            }
        }
        guard zeroCount > 0 else { return }
        // A zero stored over a nonzero would race with it.
        for index in range {
            let entry = Entry(bits: words.pointer[index])
            guard !entry.isZero || !isOccupied.contains(entry.position) else {
                let row = rowRange.lowerBound + entry.row
                let column = columnRange.lowerBound + entry.column
                throw .invalidEntry(index: index, .repeated(row: row, column: column))
            }
        }
    }
}

/// A bit for each of a tile's 8192 positions.
private struct TileMask {
    private var bits = [UInt64](repeating: 0, count: TiledCSL.tileArea / 64)

    mutating func clear() {
        for index in bits.indices { bits[index] = 0 }
    }

    /// Sets the bit at `position`; false if it was set.
    mutating func insert(_ position: Int) -> Bool {
        let bit: UInt64 = 1 << UInt64(position & 63)
        defer { bits[position >> 6] |= bit }
        return bits[position >> 6] & bit == 0
    }

    func contains(_ position: Int) -> Bool {
        bits[position >> 6] & (1 << UInt64(position & 63)) != 0
    }
}
