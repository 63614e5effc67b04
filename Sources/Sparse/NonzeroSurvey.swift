import CKernels
import Synchronization
import Tensors

/// What is known of a dense matrix of 16-bit elements before it is encoded, from one pass over them: that they are
/// finite, how many are not zero in each part that a format counts, and so what each format would take.
struct NonzeroSurvey: Sendable {
    let rows: Int
    let columns: Int
    /// `[rows, columns]`, row-major patterns of `valueType`.
    let elements: Storage<UInt16>
    let valueType: ElementType
    let nonzeroCount: Int
    /// Nonzeros of each tile of a ``TiledCSL``, tile row by tile row.
    let tileCounts: [Int]
    /// Where each panel of a ``TiledBitmap`` begins among the values.
    let panelOffsets: Storage<UInt64>
    /// The slices of a ``SlicedEllpack``.
    let slices: SlicePlan

    /// A tile row of one format, a window of another, four panels of a third: what one thread looks at.
    private static let bandRows = SlicedEllpack.windowRows

    /// - Throws: `SparseError.notFinite` for the first NaN or infinity.
    /// - Complexity: O(rows * columns), at the speed of memory.
    init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool?,
        kernels: Kernels = .best
    ) throws(SparseError) {
        precondition(valueType == .f16 || valueType == .bf16)
        precondition(rows >= 1 && columns >= 1 && elements.count == rows * columns)
        let counting = BandCounting(
            rows: rows, columns: columns, elements: elements, valueType: valueType, kernels: kernels,
            threadCount: pool?.threadCount ?? 1)
        let bands = (rows + Self.bandRows - 1) / Self.bandRows
        let failure = Mutex<(row: Int, column: Int)?>(nil)
        forEachIndex(bands, pool) { band, thread in
            let bandRows = band * Self.bandRows..<min((band + 1) * Self.bandRows, rows)
            guard let row = counting.count(bandRows, thread: thread) else { return }
            let column = counting.firstNotFinite(inRow: row)
            failure.withLock { if row < $0?.row ?? .max { $0 = (row, column) } }
        }
        if let (row, column) = failure.withLock({ $0 }) { throw .notFinite(row: row, column: column) }
        self.rows = rows
        self.columns = columns
        self.elements = elements
        self.valueType = valueType
        tileCounts = Array(counting.tileCounts.elements)
        panelOffsets = counting.panelCounts.summedUp()
        nonzeroCount = Int(panelOffsets[panelOffsets.count - 1])
        slices = counting.slices.finish()
    }
}

/// The arrays that threads fill band by band; each band has its own part of all of them.
private struct BandCounting {
    let rows: Int
    let columns: Int
    let elements: Storage<UInt16>
    let valueType: ElementType
    let kernels: Kernels
    /// `[tile rows, tile columns]`
    let tileCounts: AlignedBuffer<Int>
    /// `[1 + panels]`: 0, then the nonzeros of each panel.
    let panelCounts: AlignedBuffer<UInt64>
    let slices: SlicePlan.Builder
    /// `[threads, tileColumns]`: the bits of a row, as many in a word as a tile has columns.
    private let bits: AlignedBuffer<UInt64>
    private let tileColumns: Int

    init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, kernels: Kernels, threadCount: Int
    ) {
        self.rows = rows
        self.columns = columns
        self.elements = elements
        self.valueType = valueType
        self.kernels = kernels
        let shape = TiledCSLShape(uncheckedRows: rows, columns: columns)
        precondition(TiledCSL.tileWidth == UInt64.bitWidth && TiledCSL.tileHeight == SlicedEllpack.windowRows)
        tileColumns = shape.tileColumnCount
        tileCounts = AlignedBuffer(repeating: 0, count: shape.tileCount)
        panelCounts = AlignedBuffer(repeating: 0, count: 1 + TiledBitmap.panelCount(rows: rows))
        slices = SlicePlan.Builder(rows: rows)
        bits = AlignedBuffer(uninitializedCount: threadCount * tileColumns)
    }

    /// Counts a band; returns its first row that has a NaN or an infinity.
    func count(_ band: Range<Int>, thread: Int) -> Int? {
        let bits = bits.pointer + thread * tileColumns
        let tiles = tileCounts.pointer + band.lowerBound / TiledCSL.tileHeight * tileColumns
        return withUnsafeTemporaryAllocation(of: Int.self, capacity: band.count) { lengths -> Int? in
            for row in band {
                let isFinite = kernels.table.nonzero_bits(
                    elements.pointer + row * columns, Int64(columns), valueType.kernelElement, bits)
                if isFinite == 0 { return row }
                let counts = SlicePlan.count(bits, words: tileColumns, tiles: tiles)
                panelCounts.pointer[1 + row / TiledBitmap.panelRows] += UInt64(counts.nonzeros)
                lengths[row - band.lowerBound] = counts.entries
            }
            slices.place(window: band.lowerBound / SlicedEllpack.windowRows, lengths: lengths)
            return nil
        }
    }

    func firstNotFinite(inRow row: Int) -> Int {
        let line = UnsafeBufferPointer(start: elements.pointer + row * columns, count: columns)
        return SixteenBit.firstNotFinite(in: line, element: valueType)!
    }
}

extension AlignedBuffer<UInt64> {
    /// Each element with all before it; nobody may use the buffer afterwards.
    fileprivate func summedUp() -> Storage<UInt64> {
        for index in 1..<count { pointer[index] += pointer[index - 1] }
        return frozen()
    }
}

extension NonzeroSurvey {
    /// A matrix that may go into any format.
    /// - Throws: what ``TiledCSL``, which takes the fewest shapes and types, throws, too.
    init(
        packing elements: Storage<UInt16>, rows: Int, columns: Int, valueType: ElementType, pool: WorkerPool?
    ) throws(SparseError) {
        _ = try TiledCSL.Source(rows: rows, columns: columns, elements: elements, valueType: valueType)
        try self.init(rows: rows, columns: columns, elements: elements, valueType: valueType, pool: pool)
    }

    /// Bytes that each format takes, the smallest first; formats of equal size in the order of ``PackedFormat``.
    var sizes: [(format: PackedFormat, byteCount: Int)] {
        let sizes = PackedFormat.allCases.map { format -> (format: PackedFormat, byteCount: Int) in
            switch format {
            case .dense: (format, rows * columns * valueType.byteCount)
            case .tiledCSL: (format, TiledCSL.storedByteCount(nonzeroCounts: tileCounts))
            case .tiledBitmap:
                (format, TiledBitmap.storedByteCount(rows: rows, columns: columns, nonzeroCount: nonzeroCount))
            case .slicedEllpack: (format, slices.storedByteCount)
            }
        }
        return sizes.sorted { $0.byteCount < $1.byteCount }
    }
}
