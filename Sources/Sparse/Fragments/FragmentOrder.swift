import Tensors

/// The order in which tensor cores take a matrix's elements: how the formats for GPUs count places.
///
/// A panel is 16 rows, a strip 64 columns of a panel: 1,024 places. A strip is four tiles of 16 x 16, a tile four
/// matrices of 8 x 8 (rows 0-7 and 8-15 of columns 0-7, then of columns 8-15: the four words of the first operand of
/// `mma.m16n8k16`), and a matrix is its rows behind each other, two elements for each of 32 lanes.
///
/// Rows and columns beyond the last are zeros.
enum FragmentOrder {
    static let panelRows = 16
    static let stripColumns = 64
    static let stripPlaces = panelRows * stripColumns
    /// Elements that are neighbours in a row and in this order, too.
    static let run = 8

    /// Where step `step` of the order of gap streams is: down 16 lines of 64 places, line by line of a strip. In shared
    /// memory a line is 128 bytes, so that 32 steps in a row are on one bank.
    static func place(ofStep step: Int) -> Int { step % 16 * 64 + step / 16 }

    static func panelCount(rows: Int) -> Int { (rows + panelRows - 1) / panelRows }
    static func stripCount(columns: Int) -> Int { (columns + stripColumns - 1) / stripColumns }

    /// The row of the panel, and the column of the strip, of the first element of run `run` (0..<128) of a strip.
    static func origin(ofRun run: Int) -> (row: Int, column: Int) {
        let (tile, matrix, row) = (run / 32, run / 8 % 4, run % 8)
        return (row + matrix % 2 * 8, tile * 16 + matrix / 2 * 8)
    }
}

/// A dense matrix of 16-bit elements, read strip by strip.
struct FragmentSource: @unchecked Sendable {
    let elements: Storage<UInt16>
    let rows: Int
    let columns: Int

    /// Copies a strip into `places`, 1,024 elements in the order of fragments.
    func read(panel: Int, strip: Int, into places: UnsafeMutablePointer<UInt16>) {
        for run in 0..<FragmentOrder.stripPlaces / FragmentOrder.run {
            let origin = FragmentOrder.origin(ofRun: run)
            let row = panel * FragmentOrder.panelRows + origin.row
            let column = strip * FragmentOrder.stripColumns + origin.column
            let count = row < rows ? min(max(columns - column, 0), FragmentOrder.run) : 0
            let target = places + run * FragmentOrder.run
            if count > 0 { target.update(from: elements.pointer + row * columns + column, count: count) }
            for index in count..<FragmentOrder.run { target[index] = 0 }
        }
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
        let origin = FragmentOrder.origin(ofRun: place / FragmentOrder.run)
        let row = panel * FragmentOrder.panelRows + origin.row
        let column = strip * FragmentOrder.stripColumns + origin.column + place % FragmentOrder.run
        precondition(row < rows && column < columns, "place \(place) of strip \(strip) is outside the matrix")
        elements.pointer[row * columns + column] = bits
    }
}
