import CKernels
public import Tensors

/// A weight matrix `[rows, columns]` in sliced ELLPACK with sorted rows and 8-bit column deltas: the format for
/// 85 % sparsity and more.
///
/// The rows of each window of 128 are sorted by their number of entries, the longest first, and every 16 of them make a
/// slice: 16 lanes that walk through the nonzeros of their rows in step, one entry each:
///
///     deltas        [steps, 16]   UInt8    how far the lane's column moves on, from column 0 at the slice's start
///     values        [steps, 16]   UInt16   f16 or bf16 pattern of the element there; 0 for filling
///     sliceOffsets  [slices + 1]  UInt64   the first step of each slice; the last one is `steps`
///     laneRows      [slices, 16]  UInt8    the row of each lane, counted from its window's first row
///
/// A slice has as many steps as its longest row has entries. Filling is of two kinds: where nonzeros are more than 255
/// columns apart, entries of delta 255 and value 0 lead across; behind a row's last nonzero stand entries of delta 0
/// and value 0. A row that sorting puts beside rows as long as itself needs little of the latter.
///
/// Invariants, checked by ``checkInvariants()``:
/// - the lanes of a window name each of its rows once, also those that fill the last slice up, beyond the last row of
///   the matrix; the latter have no nonzeros;
/// - nonzeros are finite and, within a lane, in columns that ascend; no delta leads beyond the last column.
///
/// 24 bits per nonzero, 1 to 2 % of filling where nonzeros are spread at random: 3 * density bytes per weight, smaller
/// than ``TiledBitmap`` below 12 % density. -0.0 is a zero and comes back as +0.0.
///
/// Source: SELL-C-sigma of Kreutzer et al., "A unified sparse matrix data format for efficient general sparse
/// matrix-vector multiplication on modern processors with wide SIMD units", SIAM J. Sci. Comput. 36(5), 2014,
/// DOI 10.1137/130930352, with C = 16, sigma = 128 and deltas in place of columns.
public struct SlicedEllpack: Sendable {
    /// Lanes of a slice.
    public static let sliceRows = Int(FLASH_SLICE_ROWS)
    /// Rows that are sorted among each other; row ranges of a product begin at multiples of this.
    public static let windowRows = Int(FLASH_WINDOW_ROWS)
    /// How far one entry can lead.
    static let longestDelta = 255

    public let rows: Int
    public let columns: Int
    /// f16 or bf16.
    public let valueType: ElementType
    public let deltas: Storage<UInt8>
    public let values: Storage<UInt16>
    public let sliceOffsets: Storage<UInt64>
    public let laneRows: Storage<UInt8>

    var sliceCount: Int { Self.sliceCount(rows: rows) }

    /// Bytes of the four arrays.
    public var storedByteCount: Int {
        deltas.byteCount + values.byteCount + sliceOffsets.byteCount + laneRows.byteCount
    }

    /// Number of stored values that are no filling.
    /// - Complexity: O(stored entries).
    public var nonzeroCount: Int { values.buffer.count { !SixteenBit.isZero($0) } }

    static func sliceCount(rows: Int) -> Int { (rows + sliceRows - 1) / sliceRows }

    /// Joins arrays that are known to keep the invariants, as far as the caller has checked them.
    init(
        unchecked shape: (rows: Int, columns: Int), valueType: ElementType, deltas: Storage<UInt8>,
        values: Storage<UInt16>, sliceOffsets: Storage<UInt64>, laneRows: Storage<UInt8>
    ) {
        rows = shape.rows
        columns = shape.columns
        self.valueType = valueType
        self.deltas = deltas
        self.values = values
        self.sliceOffsets = sliceOffsets
        self.laneRows = laneRows
    }

    /// The matrix's row in lane `lane`, counted through all slices; beyond the last row where a slice is filled up.
    func row(ofLane lane: Int) -> Int {
        lane / Self.windowRows * Self.windowRows + Int(laneRows.pointer[lane])
    }

    /// Addresses within the matrix, which must outlive them.
    var kernelMatrix: flash_sliced_ellpack {
        flash_sliced_ellpack(
            deltas: deltas.pointer, values: values.pointer, slice_offsets: sliceOffsets.pointer,
            lane_rows: laneRows.pointer, element: valueType.kernelElement, rows: Int64(rows), columns: Int64(columns))
    }
}
