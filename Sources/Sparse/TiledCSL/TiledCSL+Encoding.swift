public import Tensors

extension TiledCSL {
    /// Encodes a dense matrix on the calling thread. ``Source`` and ``Encoder`` do the same in pieces.
    /// - Parameters:
    ///   - elements: `[rows, columns]`, row-major, as bits of `valueType`.
    ///   - valueType: `.f16` or `.bf16`.
    /// - Throws: `SparseError` if a side is not in `1...Int32.max`, `elements` has another count, an element is NaN or
    ///   infinite, or there are 2^33 nonzeros or more.
    /// - Complexity: O(rows x columns).
    public init(rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType) throws(SparseError) {
        let source = try Source(rows: rows, columns: columns, elements: elements, valueType: valueType)
        let encoder = try Encoder(source, nonzeroCounts: try source.nonzeroCounts())
        for tileRow in 0..<source.tileRowCount { encoder.encode(tileRow: tileRow) }
        self = encoder.finish()
    }

    /// Encodes a matrix whose nonzeros are counted, tile rows spread over `pool`.
    /// - Throws: `SparseError` if there are 2^33 nonzeros or more.
    init(_ survey: NonzeroSurvey, pool: WorkerPool?) throws(SparseError) {
        let source = try Source(
            rows: survey.rows, columns: survey.columns, elements: survey.elements, valueType: survey.valueType)
        let encoder = try Encoder(source, nonzeroCounts: survey.tileCounts)
        forEachIndex(source.tileRowCount, pool) { tileRow, _ in encoder.encode(tileRow: tileRow) }
        self = encoder.finish()
    }

    /// Bytes that the encoded matrix takes, found without encoding it.
    /// - Parameter nonzeroCounts: per tile, tile row by tile row, as ``Source/nonzeroCounts(inTileRow:)`` gives them.
    public static func storedByteCount(nonzeroCounts: [Int]) -> Int {
        let vectors = nonzeroCounts.reduce(0) { $0 + vectorCount(nonzeroCount: $1) }
        let offsets = nonzeroCounts.count + 2
        return vectors * vectorLength * MemoryLayout<UInt32>.size + offsets * MemoryLayout<Int32>.size
    }

    /// Bytes that a dense matrix would take in this format, found without encoding it.
    /// - Throws: as ``init(rows:columns:elements:valueType:)``.
    /// - Complexity: O(rows x columns), at the speed of memory.
    public static func storedByteCount(
        countingNonzerosOf elements: Storage<UInt16>, rows: Int, columns: Int, valueType: ElementType
    ) throws(SparseError) -> Int {
        let source = try Source(rows: rows, columns: columns, elements: elements, valueType: valueType)
        return storedByteCount(nonzeroCounts: try source.nonzeroCounts())
    }

    static func vectorCount(nonzeroCount: Int) -> Int { (nonzeroCount + vectorLength - 1) / vectorLength }

    /// A dense matrix that is to be encoded: the first step, which counts.
    ///
    /// Encoding takes two passes over the elements. Each is cut into tile rows (128 rows of the matrix) that are
    /// independent of each other, so that a caller with threads can spread them:
    ///
    ///     let source = try TiledCSL.Source(...)
    ///     let counts = (0..<source.tileRowCount).flatMap { try source.nonzeroCounts(inTileRow: $0) }  // in parallel
    ///     let encoder = try TiledCSL.Encoder(source, nonzeroCounts: counts)
    ///     for tileRow in 0..<source.tileRowCount { encoder.encode(tileRow: tileRow) }                 // in parallel
    ///     let matrix = encoder.finish()
    public struct Source: Sendable {
        let shape: TiledCSLShape
        let valueType: ElementType
        let elements: Storage<UInt16>
        private let nonFiniteMagnitude: UInt16

        /// - Parameters:
        ///   - elements: `[rows, columns]`, row-major, as bits of `valueType`.
        ///   - valueType: `.f16` or `.bf16`.
        /// - Throws: `SparseError` if a side is not in `1...Int32.max`, `elements` has another count, or the type is
        ///   another.
        public init(rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType) throws(SparseError) {
            shape = try TiledCSLShape(rows: rows, columns: columns)
            nonFiniteMagnitude = try TiledCSL.nonFiniteMagnitude(valueType)
            guard elements.count == shape.elementCount else {
                throw .wrongElementCount(
                    array: "the dense matrix", expected: shape.elementCount, found: elements.count)
            }
            self.elements = elements
            self.valueType = valueType
        }

        /// Number of tile rows: the pieces that can be counted and encoded independently.
        public var tileRowCount: Int { shape.tileRowCount }

        /// The number of nonzeros of each tile of one tile row, from left to right.
        /// - Throws: `SparseError.notFinite` with the first NaN or infinity of these rows.
        public func nonzeroCounts(inTileRow tileRow: Int) throws(SparseError) -> [Int] {
            precondition(tileRow >= 0 && tileRow < tileRowCount)
            var counts = [Int](repeating: 0, count: shape.tileColumnCount)
            for row in shape.rowRange(ofTileRow: tileRow) {
                var isFinite = true
                for tileColumn in counts.indices {
                    let columns = shape.columnRange(ofTileColumn: tileColumn)
                    let run = elements.pointer + row * shape.columns + columns.lowerBound
                    let (nonzeros, isRunFinite) = count(run, columns.count)
                    counts[tileColumn] += nonzeros
                    isFinite = isFinite && isRunFinite
                }
                if !isFinite { throw .notFinite(row: row, column: firstNonFiniteColumn(inRow: row)) }
            }
            return counts
        }

        /// The number of nonzeros of every tile, tile row by tile row.
        func nonzeroCounts() throws(SparseError) -> [Int] {
            var counts: [Int] = []
            counts.reserveCapacity(shape.tileCount)
            for tileRow in 0..<tileRowCount { counts += try nonzeroCounts(inTileRow: tileRow) }
            return counts
        }

        /// Counts the nonzeros among at most 64 elements, without branches so that it is vectorised.
        private func count(_ run: UnsafePointer<UInt16>, _ length: Int) -> (nonzeros: Int, isFinite: Bool) {
            let distance = 0x8000 &- nonFiniteMagnitude
            var nonzeros: UInt16 = 0
            var reached: UInt16 = 0
            var index = 0
            while index < length {
                let magnitude = run[index] & 0x7FFF
                nonzeros &+= magnitude == 0 ? 0 : 1
                reached |= magnitude &+ distance  // bit 15 is set from the first magnitude on that is not finite
                index &+= 1
            }
            return (Int(nonzeros), reached & 0x8000 == 0)
        }

        private func firstNonFiniteColumn(inRow row: Int) -> Int {
            let line = elements[row * shape.columns..<(row + 1) * shape.columns]
            return line.buffer.firstIndex { $0 & 0x7FFF >= nonFiniteMagnitude }!
        }
    }

    /// The second step of encoding: with the tiles' nonzeros counted, every tile's place is known and tile rows can be
    /// encoded in any order, on any threads.
    public final class Encoder: @unchecked Sendable {
        private let source: Source
        private let tileOffsets: Storage<Int32>
        /// Each tile row writes only its own tiles' range.
        private let words: AlignedBuffer<UInt32>
        /// `[tileRowCount]`: whether the tile row was encoded; each written by the thread that encodes it.
        private let isEncoded: AlignedBuffer<Bool>

        /// - Parameter nonzeroCounts: per tile, tile row by tile row.
        /// - Throws: `SparseError.tooManyStoredElements` if the vectors of four words cannot be counted in 31 bits.
        /// - Precondition: there is a count, in `0...8192`, for every tile.
        public init(_ source: Source, nonzeroCounts: [Int]) throws(SparseError) {
            precondition(nonzeroCounts.count == source.shape.tileCount)
            let offsets = AlignedBuffer<Int32>(uninitializedCount: source.shape.tileOffsetCount)
            var vectors = 0
            for (tile, count) in nonzeroCounts.enumerated() {
                precondition(count >= 0 && count <= TiledCSL.tileArea)
                offsets.elements[tile] = Int32(truncatingIfNeeded: vectors)
                vectors += TiledCSL.vectorCount(nonzeroCount: count)
            }
            guard let end = Int32(exactly: vectors) else {
                throw .tooManyStoredElements(
                    limit: Int(Int32.max) * TiledCSL.vectorLength, found: vectors * TiledCSL.vectorLength)
            }
            offsets.elements[nonzeroCounts.count] = end
            offsets.elements[nonzeroCounts.count + 1] = end
            self.source = source
            tileOffsets = offsets.frozen()
            words = AlignedBuffer(uninitializedCount: vectors * TiledCSL.vectorLength)
            isEncoded = AlignedBuffer(repeating: false, count: source.tileRowCount)
        }

        /// Encodes the tiles of one tile row. Different tile rows may be encoded at the same time.
        /// - Precondition: the tile row was not encoded before, and the counts given for its tiles are right.
        public func encode(tileRow: Int) {
            precondition(!isEncoded.elements[tileRow], "tile row \(tileRow) is encoded twice")
            let shape = source.shape
            let banks = TileBanks()
            let rows = shape.rowRange(ofTileRow: tileRow)
            for tileColumn in 0..<shape.tileColumnCount {
                let columns = shape.columnRange(ofTileColumn: tileColumn)
                let tile = DenseTile(
                    origin: source.elements.pointer + rows.lowerBound * shape.columns + columns.lowerBound,
                    stride: shape.columns, height: rows.count, width: columns.count)
                let index = tileRow * shape.tileColumnCount + tileColumn
                let first = Int(tileOffsets[index]) * TiledCSL.vectorLength
                let wordCount = Int(tileOffsets[index + 1]) * TiledCSL.vectorLength - first
                banks.collect(tile)
                let surplus = wordCount - banks.wordCount
                precondition(surplus >= 0 && surplus < TiledCSL.vectorLength, "tile \(index) was counted differently")
                banks.pad(to: wordCount, of: tile)
                banks.drain(into: words.pointer + first, wordCount: wordCount)
            }
            isEncoded.elements[tileRow] = true
        }

        /// The encoded matrix.
        /// - Precondition: every tile row was encoded, by threads that the caller has joined.
        public func finish() -> TiledCSL {
            precondition(isEncoded.elements.allSatisfy { $0 }, "a tile row is not encoded")
            return TiledCSL(
                unchecked: source.shape, valueType: source.valueType, words: words.frozen(), tileOffsets: tileOffsets)
        }
    }
}
