import Tensors

/// The order in which tensor cores take a matrix's elements: how the formats for GPUs count places.
///
/// A panel is 16 rows, a strip 64 columns of a panel: 1,024 places. A strip is the fragments of four instructions
/// `mma.m16n8k16`: 32 lanes have 32 elements each, four rounds of eight. Places go round by round, each in two halves
/// of 32 lanes by four elements:
///
///     place = ((quarter * 2 + part) * 32 + lane) * 4 + element
///     row = lane / 4 + element / 2 * 8
///     column = quarter / 2 * 32 + lane % 4 * 8 + quarter % 2 * 4 + part * 2 + element % 2
///
/// The columns of an instruction are not neighbours but those that make a lane's share of two instructions eight
/// columns of a row, so that activations come to it by one load of 16 bytes (Sources/CCUDA/kernels/activations.cuh).
/// Rows and columns beyond the last are zeros.
enum FragmentOrder {
    static let panelRows = 16
    static let stripColumns = 64
    static let stripPlaces = panelRows * stripColumns
    static let lanes = 32
    /// Elements of a lane that are neighbours in this order.
    static let run = 4

    static func panelCount(rows: Int) -> Int { (rows + panelRows - 1) / panelRows }
    static func stripCount(columns: Int) -> Int { (columns + stripColumns - 1) / stripColumns }

    /// The row of the panel, and the column of the strip, of a place.
    static func origin(ofPlace place: Int) -> (row: Int, column: Int) {
        let (element, lane) = (place % run, place / run % lanes)
        let (part, quarter) = (place / run / lanes % 2, place / run / lanes / 2)
        return (
            lane / 4 + element / 2 * 8,
            quarter / 2 * 32 + lane % 4 * 8 + quarter % 2 * 4 + part * 2 + element % 2
        )
    }
}

/// A dense matrix of 16-bit elements, read strip by strip.
struct FragmentSource: @unchecked Sendable {
    let elements: Storage<UInt16>
    let rows: Int
    let columns: Int

    /// Where the first of two neighbours in a row is, for every other place.
    private static let origins = stride(from: 0, to: FragmentOrder.stripPlaces, by: 2).map {
        FragmentOrder.origin(ofPlace: $0)
    }

    /// Copies a strip into `places`, 1,024 elements in the order of fragments.
    func read(panel: Int, strip: Int, into places: UnsafeMutablePointer<UInt16>) {
        let firstRow = panel * FragmentOrder.panelRows
        let firstColumn = strip * FragmentOrder.stripColumns
        let isWhole =
            firstRow + FragmentOrder.panelRows <= rows && firstColumn + FragmentOrder.stripColumns <= columns
        let from = elements.pointer + firstRow * columns + firstColumn
        Self.origins.withUnsafeBufferPointer { origins in
            for (pair, origin) in origins.enumerated() {
                let target = places + 2 * pair
                if isWhole {
                    target.update(from: from + origin.row * columns + origin.column, count: 2)
                    continue
                }
                for index in 0..<2 {
                    let (row, column) = (firstRow + origin.row, firstColumn + origin.column + index)
                    target[index] = row < rows && column < columns ? elements.pointer[row * columns + column] : 0
                }
            }
        }
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
}

/// A dense matrix of 16-bit elements, written strip by strip.
struct FragmentTarget {
    let elements: AlignedBuffer<UInt16>
    let rows: Int
    let columns: Int

    init(rows: Int, columns: Int) {
        elements = AlignedBuffer(repeating: 0, count: rows * columns)
        self.rows = rows
        self.columns = columns
    }

    /// - Precondition: the place is inside the matrix.
    func write(_ bits: UInt16, panel: Int, strip: Int, place: Int) {
        let origin = FragmentOrder.origin(ofPlace: place)
        let row = panel * FragmentOrder.panelRows + origin.row
        let column = strip * FragmentOrder.stripColumns + origin.column
        precondition(row < rows && column < columns, "place \(place) of strip \(strip) is outside the matrix")
        elements.pointer[row * columns + column] = bits
    }
}

/// The sums of all elements before each one, and of all.
/// - Throws: `SparseError.tooManyStoredElements` if they do not fit 32 bits.
func runningSum(_ counts: AlignedBuffer<UInt32>) throws(SparseError) -> AlignedBuffer<UInt32> {
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
