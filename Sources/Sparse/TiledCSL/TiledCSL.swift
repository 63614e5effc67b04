public import Tensors

/// A weight matrix `[rows, columns]` in Flash-LLM's Tiled-CSL format.
///
/// The matrix is padded with zeros to a multiple of 128 x 64 and cut into tiles of that size, which are stored tile row
/// by tile row. Each nonzero element is one 32-bit word of ``words``:
///
///     bits  0..<16   value      IEEE binary16, or bfloat16 (``valueType``); opaque bits but for the sign of zero
///     bits 16..<32   position   r * 64 + (c ^ ((r % 8) << 3)),  (r, c) in the tile; 0..<8192
///
/// ``tileOffsets`` counts in vectors of four words (16 bytes, what one GPU thread loads at once): tile `t` is stored in
/// words `4 * tileOffsets[t] ..< 4 * tileOffsets[t + 1]`. It has two elements more than there are tiles; the last
/// repeats the one before it, an empty tile that lets a kernel prefetch past the end.
///
/// Invariants, checked by every `init` unless it is told to leave the words alone (``Check``):
/// - a tile's words have distinct positions, except that a tile whose number of nonzeros is not a multiple of four is
///   filled up with words of value zero, at positions that hold no nonzero (the same one up to three times);
/// - nonzeros lie inside the matrix and are finite. -0.0 is a zero and is not stored.
///
/// The order of the words within a tile decides nothing but speed: a kernel that scatters a tile into on-chip memory of
/// 32 banks issues one store per warp and word of the vector, and ``init(rows:columns:elements:valueType:)`` orders the
/// words so that the lanes of a store spread over the banks (what that guarantees: see `TileBanks`). The XOR in the
/// position keeps the reads of the expanded tile on different banks. The words and offsets equal, bit for bit, those of
/// the encoder released with the paper.
///
/// Size: 4 bytes per nonzero, plus at most 12 bytes and 4 bytes of offset per tile. Smaller than dense below 50 %
/// density.
///
/// Source: Xia et al., "Flash-LLM", VLDB 2024, arXiv:2309.10285, section 4, and the encoder released with it.
public struct TiledCSL: Sendable {
    /// Height of a tile in rows.
    public static var tileHeight: Int { 128 }
    /// Width of a tile in columns.
    public static var tileWidth: Int { 64 }
    /// Elements of a tile, and so the limit of its stored words.
    public static var tileArea: Int { tileHeight * tileWidth }
    /// Words that are loaded at once, and the unit of ``tileOffsets``.
    public static var vectorLength: Int { 4 }

    /// Rows of the matrix, without padding.
    public let rows: Int
    /// Columns of the matrix, without padding.
    public let columns: Int
    /// `.f16` or `.bf16`.
    public let valueType: ElementType
    /// The stored elements of all tiles.
    public let words: Storage<UInt32>
    /// Where each tile begins, in vectors of four words: `tileCount + 2` elements.
    public let tileOffsets: Storage<Int32>

    /// Joins arrays that are known to keep the invariants.
    init(unchecked shape: TiledCSLShape, valueType: ElementType, words: Storage<UInt32>, tileOffsets: Storage<Int32>) {
        rows = shape.rows
        columns = shape.columns
        self.valueType = valueType
        self.words = words
        self.tileOffsets = tileOffsets
    }

    var shape: TiledCSLShape { TiledCSLShape(uncheckedRows: rows, columns: columns) }

    /// Number of tiles below each other.
    public var tileRowCount: Int { shape.tileRowCount }
    /// Number of tiles beside each other.
    public var tileColumnCount: Int { shape.tileColumnCount }
    /// Number of tiles.
    public var tileCount: Int { shape.tileCount }

    /// The range of ``words`` that holds the tile in tile row `tileRow`, tile column `tileColumn`.
    public func wordRange(tileRow: Int, tileColumn: Int) -> Range<Int> {
        precondition(tileRow >= 0 && tileRow < tileRowCount && tileColumn >= 0 && tileColumn < tileColumnCount)
        let tile = tileRow * tileColumnCount + tileColumn
        return Int(tileOffsets[tile]) * Self.vectorLength..<Int(tileOffsets[tile + 1]) * Self.vectorLength
    }

    /// Bytes of both arrays.
    public var storedByteCount: Int { words.byteCount + tileOffsets.byteCount }

    /// Number of nonzero elements: the stored words without those that fill tiles up.
    /// - Complexity: O(stored words).
    public var nonzeroCount: Int {
        words.buffer.reduce(into: 0) { count, bits in
            count += Entry(bits: bits).isZero ? 0 : 1
        }
    }
}

/// The sides of a matrix and of its grid of tiles.
struct TiledCSLShape: Equatable, Sendable {
    let rows: Int
    let columns: Int

    /// - Throws: `SparseError.invalidShape` unless both sides are in `1...Int32.max`, which keeps every product of
    ///   sides and counts of tiles far from overflow.
    init(rows: Int, columns: Int) throws(SparseError) {
        let limit = 1...Int(Int32.max)
        guard limit.contains(rows), limit.contains(columns) else {
            throw .invalidShape(rows: rows, columns: columns)
        }
        self.init(uncheckedRows: rows, columns: columns)
    }

    init(uncheckedRows rows: Int, columns: Int) {
        self.rows = rows
        self.columns = columns
    }

    var tileRowCount: Int { (rows + TiledCSL.tileHeight - 1) / TiledCSL.tileHeight }
    var tileColumnCount: Int { (columns + TiledCSL.tileWidth - 1) / TiledCSL.tileWidth }
    var tileCount: Int { tileRowCount * tileColumnCount }
    var elementCount: Int { rows * columns }
    /// One per tile, the end, and the repeated end.
    var tileOffsetCount: Int { tileCount + 2 }

    /// The rows of the matrix that tile row `tileRow` covers; fewer than 128 in the last one.
    func rowRange(ofTileRow tileRow: Int) -> Range<Int> {
        let first = tileRow * TiledCSL.tileHeight
        return first..<min(first + TiledCSL.tileHeight, rows)
    }

    /// The columns of the matrix that tile column `tileColumn` covers; fewer than 64 in the last one.
    func columnRange(ofTileColumn tileColumn: Int) -> Range<Int> {
        let first = tileColumn * TiledCSL.tileWidth
        return first..<min(first + TiledCSL.tileWidth, columns)
    }
}
