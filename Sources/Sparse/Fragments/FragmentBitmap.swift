public import Tensors

/// A weight matrix `[rows, columns]` as a bitmap in the order of tensor-core fragments, for GPUs.
///
/// Panels of 16 rows, strips of 64 columns, places as `FragmentOrder` counts them:
///
///     bitmaps  [panels, strips, 32]   UInt32  bit i of word w: place 32 * w + i of the strip is stored
///     values   [stored]               UInt16  f16 or bf16 patterns, strip by strip, places in ascending order; each
///                                             strip's are filled up with zeros to a multiple of 8 (16 bytes)
///     offsets  [panels * strips + 1]  UInt32  where each strip's values begin, in units of 8; the last is the end
///
/// One bit per element, 16 per nonzero and, for each strip, 4 bytes of offset and 8 of filling on average. -0.0 is a
/// zero and comes back as +0.0. The kernel: spmm_bitmap.cu.
public struct FragmentBitmap: Sendable {
    public let rows: Int
    public let columns: Int
    /// f16 or bf16.
    public let valueType: ElementType
    public let bitmaps: Storage<UInt32>
    public let values: Storage<UInt16>
    public let offsets: Storage<UInt32>

    static let stripWords = FragmentOrder.stripPlaces / 32
    /// How many values a kernel copies at once.
    static let valueUnit = 8

    public var storedByteCount: Int { bitmaps.byteCount + values.byteCount + offsets.byteCount }

    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns. Panels are spread over `pool`.
    /// - Throws: `SparseError.notFinite`; `SparseError.tooManyStoredElements` beyond 2^35 values.
    /// - Complexity: O(rows * columns).
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool? = nil
    ) throws(SparseError) {
        let source = try FragmentSource(rows: rows, columns: columns, elements: elements, valueType: valueType)
        let panels = FragmentOrder.panelCount(rows: rows)
        let strips = FragmentOrder.stripCount(columns: columns)
        let bitmaps = AlignedBuffer<UInt32>(uninitializedCount: panels * strips * Self.stripWords)
        let units = AlignedBuffer<UInt32>(uninitializedCount: panels * strips)
        source.forEachPanel(pool) { panel, places in
            for strip in 0..<strips {
                source.read(panel: panel, strip: strip, into: places)
                let index = panel * strips + strip
                let count = Self.fillBitmap(bitmaps.pointer + index * Self.stripWords, places)
                units.pointer[index] = UInt32((count + Self.valueUnit - 1) / Self.valueUnit)
            }
        }
        let offsets = try Self.runningSum(units)
        let values = AlignedBuffer<UInt16>(
            repeating: 0, count: Int(offsets.pointer[offsets.count - 1]) * Self.valueUnit)
        source.forEachPanel(pool) { panel, places in
            for strip in 0..<strips {
                source.read(panel: panel, strip: strip, into: places)
                var next = values.pointer + Int(offsets.pointer[panel * strips + strip]) * Self.valueUnit
                for place in 0..<FragmentOrder.stripPlaces where !SixteenBit.isZero(places[place]) {
                    next.pointee = places[place]
                    next += 1
                }
            }
        }
        self.rows = rows
        self.columns = columns
        self.valueType = valueType
        self.bitmaps = bitmaps.frozen()
        self.values = values.frozen()
        self.offsets = offsets.frozen()
    }

    private static func fillBitmap(_ words: UnsafeMutablePointer<UInt32>, _ places: UnsafePointer<UInt16>) -> Int {
        var count = 0
        for word in 0..<stripWords {
            var bits: UInt32 = 0
            for bit in 0..<32 where !SixteenBit.isZero(places[word * 32 + bit]) { bits |= 1 << UInt32(bit) }
            words[word] = bits
            count += bits.nonzeroBitCount
        }
        return count
    }

    /// The sums of all elements before each one, and of all.
    /// - Throws: `SparseError.tooManyStoredElements` if they do not fit 32 bits.
    static func runningSum(_ counts: AlignedBuffer<UInt32>) throws(SparseError) -> AlignedBuffer<UInt32> {
        let sums = AlignedBuffer<UInt32>(uninitializedCount: counts.count + 1)
        var sum = 0
        for index in 0..<counts.count {
            sums.pointer[index] = UInt32(truncatingIfNeeded: sum)
            sum += Int(counts.pointer[index])
        }
        guard sum <= Int(UInt32.max) else {
            throw .tooManyStoredElements(limit: Int(UInt32.max), found: sum)
        }
        sums.pointer[counts.count] = UInt32(sum)
        return sums
    }

    /// The dense matrix, row-major 16-bit patterns; zeros are +0.0.
    public func dense() -> Storage<UInt16> {
        let target = FragmentTarget(rows: rows, columns: columns)
        let strips = FragmentOrder.stripCount(columns: columns)
        for index in 0..<offsets.count - 1 {
            var next = Int(offsets[index]) * Self.valueUnit
            for place in 0..<FragmentOrder.stripPlaces {
                let word = bitmaps[index * Self.stripWords + place / 32]
                guard word >> UInt32(place % 32) & 1 == 1 else { continue }
                target.write(values[next], panel: index / strips, strip: index % strips, place: place)
                next += 1
            }
        }
        return target.elements.frozen()
    }
}

extension FragmentSource {
    /// - Throws: `SparseError.invalidShape`, `unsupportedValueType`, `wrongElementCount`, `notFinite`.
    init(rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType) throws(SparseError) {
        let limit = 1...Int(Int32.max)
        guard limit.contains(rows), limit.contains(columns) else {
            throw .invalidShape(rows: rows, columns: columns)
        }
        guard valueType == .f16 || valueType == .bf16 else { throw .unsupportedValueType(valueType) }
        guard elements.count == rows * columns else {
            throw .wrongElementCount(array: "elements", expected: rows * columns, found: elements.count)
        }
        if let index = SixteenBit.firstNotFinite(in: elements.buffer, element: valueType) {
            throw .notFinite(row: index / columns, column: index % columns)
        }
        self.init(elements: elements, rows: rows, columns: columns)
    }

    /// Calls `body(panel, places)` for every panel; `places` is memory for a strip that no one else uses meanwhile.
    func forEachPanel(_ pool: WorkerPool?, _ body: (Int, UnsafeMutablePointer<UInt16>) -> Void) {
        let panels = FragmentOrder.panelCount(rows: rows)
        let scratch = AlignedBuffer<UInt16>(
            uninitializedCount: (pool?.threadCount ?? 1) * FragmentOrder.stripPlaces)
        if let pool {
            pool.forEachChunk(panels) { panel, thread in
                body(panel, scratch.pointer + thread * FragmentOrder.stripPlaces)
            }
        } else {
            for panel in 0..<panels { body(panel, scratch.pointer) }
        }
    }
}
