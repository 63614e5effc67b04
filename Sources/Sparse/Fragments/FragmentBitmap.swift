public import Tensors

/// A weight matrix `[rows, columns]` as a bitmap in the order of tensor-core fragments, for GPUs.
///
/// Panels of 16 rows, strips of 64 columns, places as `FragmentOrder` counts them:
///
///     words    [units of 16 bytes, 4]  UInt32  strip by strip: the bitmap, 32 words, bit i of word w for place
///                                              32 * w + i; then f16 or bf16 patterns of the places that are stored, in
///                                              ascending order, two in a word, filled up with zeros to whole units
///     offsets  [panels * strips + 2]   UInt32  the unit with which each strip begins; the end twice
///
/// One bit per element, 16 per nonzero and, for each strip, 4 bytes of offset and 8 of filling on average. -0.0 is a
/// zero and comes back as +0.0. The kernel: spmm_bitmap.cu.
public struct FragmentBitmap: Sendable {
    public let rows: Int
    public let columns: Int
    /// f16 or bf16.
    public let valueType: ElementType
    public let words: Storage<UInt32>
    public let offsets: Storage<UInt32>

    static let bitmapWords = FragmentOrder.stripPlaces / 32
    /// Words that a lane copies at once.
    static let unitWords = 4

    public var storedByteCount: Int { words.byteCount + offsets.byteCount }

    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns. Panels are spread over `pool`.
    /// - Throws: `SparseError.notFinite`; `SparseError.tooManyStoredElements` beyond 2^32 units.
    /// - Complexity: O(rows * columns).
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool? = nil
    ) throws(SparseError) {
        let source = try FragmentSource(rows: rows, columns: columns, elements: elements, valueType: valueType)
        let strips = FragmentOrder.stripCount(columns: columns)
        let units = AlignedBuffer<UInt32>(
            uninitializedCount: FragmentOrder.panelCount(rows: rows) * strips)
        source.forEachPanel(pool) { panel, places in
            for strip in 0..<strips {
                source.read(panel: panel, strip: strip, into: places)
                let stored = (0..<FragmentOrder.stripPlaces).count { !SixteenBit.isZero(places[$0]) }
                let stripWords = Self.bitmapWords + (stored + 1) / 2
                units.pointer[panel * strips + strip] = UInt32((stripWords + Self.unitWords - 1) / Self.unitWords)
            }
        }
        let sums = try Self.runningSum(units)
        let end = sums.pointer[sums.count - 1]
        let offsets = AlignedBuffer<UInt32>(repeating: end, count: sums.count + 1)
        offsets.pointer.update(from: sums.pointer, count: sums.count)
        let words = AlignedBuffer<UInt32>(repeating: 0, count: Int(end) * Self.unitWords)
        source.forEachPanel(pool) { panel, places in
            for strip in 0..<strips {
                source.read(panel: panel, strip: strip, into: places)
                let first = Int(offsets.pointer[panel * strips + strip]) * Self.unitWords
                Self.fill(words.pointer + first, places)
            }
        }
        self.rows = rows
        self.columns = columns
        self.valueType = valueType
        self.words = words.frozen()
        self.offsets = offsets.frozen()
    }

    /// Writes a strip into words that are zero.
    private static func fill(_ words: UnsafeMutablePointer<UInt32>, _ places: UnsafePointer<UInt16>) {
        let values = words + bitmapWords
        var stored = 0
        for place in 0..<FragmentOrder.stripPlaces where !SixteenBit.isZero(places[place]) {
            words[place / 32] |= 1 << UInt32(place % 32)
            values[stored / 2] |= UInt32(places[place]) << UInt32(stored % 2 * 16)
            stored += 1
        }
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
        for index in 0..<offsets.count - 2 {
            let first = Int(offsets[index]) * Self.unitWords
            var stored = 0
            for place in 0..<FragmentOrder.stripPlaces {
                guard words[first + place / 32] >> UInt32(place % 32) & 1 == 1 else { continue }
                let pair = words[first + Self.bitmapWords + stored / 2]
                let value = UInt16(truncatingIfNeeded: pair >> UInt32(stored % 2 * 16))
                target.write(value, panel: index / strips, strip: index % strips, place: place)
                stored += 1
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
        let scratch = AlignedBuffer<UInt16>(
            uninitializedCount: (pool?.threadCount ?? 1) * FragmentOrder.stripPlaces)
        forEachIndex(FragmentOrder.panelCount(rows: rows), pool) { panel, thread in
            body(panel, scratch.pointer + thread * FragmentOrder.stripPlaces)
        }
    }
}
