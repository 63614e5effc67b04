import CKernels
public import Tensors

/// A weight matrix `[rows, columns]` of integers with a scale for each group of columns of a row: `scale * q`.
///
/// The rows are cut into panels of 16 (the last one padded with zeros), the vector lanes of a product. A panel runs
/// over all columns in chunks of 4, or of 2 for 16-bit integers: what four bytes of activations hold. Element
/// `(row, column)` of a chunk has the number `row * chunkColumns + column`. Positions are dense, all elements are
/// stored, or a bitmap, the nonzeros are:
///
///     masks         [panels, chunks]      UInt32 (i16) or UInt64   bit n: element n of the chunk is stored;
///                                         no array where positions are dense
///     values        [bytes + 64]          panel by panel, chunk by chunk, elements in ascending order; 64 zeros behind
///                                         the last, so that a kernel may load whole vectors
///                   i16, i8               little-endian two's complement, never -32768 or -128
///                   i4                    two planes over the same bytes: elements of even chunks are the low
///                                         nibbles, those of odd chunks the high ones, each plane from the panel's
///                                         first byte on; nibbles that a plane does not reach are zero
///     panelOffsets  [panels + 1]          UInt64: each panel's first byte; the last one is `bytes`
///     scales        [panels, groups, 16]  bf16, finite; those of rows beyond the last are zero
///
/// A bitmap holds no zeros: what rounds to zero is not stored. Bits and dense elements beyond the matrix are zero.
/// With the density d of the integers and g columns in a group this takes 1/8 + 2d (i16), 1/8 + d (i8) or 1/8 + d/2
/// (i4) bytes per weight, and 2/g for the scales. These layouts won in a study of CPU kernels for one to sixteen
/// tokens: lanes that are rows need no horizontal sum, and nibbles in planes need no unpacking.
public struct QuantizedMatrix: Sendable {
    static let panelRows = Int(FLASH_QUANTIZED_ROWS)
    static let valuePadding = Int(FLASH_QUANTIZED_PADDING)

    public enum Positions: Sendable, CaseIterable {
        case dense
        case bitmap
    }

    public let rows: Int
    public let columns: Int
    public let coding: QuantizedCoding
    public let group: ScaleGroup
    /// The bytes of the masks; nil where positions are dense.
    public let masks: Storage<UInt8>?
    public let values: Storage<UInt8>
    public let panelOffsets: Storage<UInt64>
    /// bf16 patterns.
    public let scales: Storage<UInt16>

    /// Joins arrays that are known to keep the invariants, as far as the caller has checked them.
    init(
        unchecked shape: Shape, masks: Storage<UInt8>?, values: Storage<UInt8>, panelOffsets: Storage<UInt64>,
        scales: Storage<UInt16>
    ) {
        rows = shape.rows
        columns = shape.columns
        coding = shape.coding
        group = shape.group
        self.masks = masks
        self.values = values
        self.panelOffsets = panelOffsets
        self.scales = scales
    }

    public var positions: Positions { masks == nil ? .dense : .bitmap }

    /// Bytes of all arrays.
    public var storedByteCount: Int {
        (masks?.byteCount ?? 0) + values.byteCount + panelOffsets.byteCount + scales.byteCount
    }

    var shape: Shape { Shape(rows: rows, columns: columns, coding: coding, group: group) }

    /// What the lengths of the arrays follow from.
    struct Shape {
        let rows: Int
        let columns: Int
        let coding: QuantizedCoding
        let group: ScaleGroup

        var panels: Int { (rows + QuantizedMatrix.panelRows - 1) / QuantizedMatrix.panelRows }
        var chunks: Int { (columns + coding.chunkColumns - 1) / coding.chunkColumns }
        var groupColumns: Int { group.columnCount(inRowOf: columns) }
        var groups: Int { (columns + groupColumns - 1) / groupColumns }

        /// Bytes of the values of a panel that stores so many elements in its even and odd chunks.
        func panelByteCount(even: Int, odd: Int) -> Int {
            switch coding {
            case .i16: 2 * (even + odd)
            case .i8: even + odd
            case .i4: max(even, odd)
            }
        }

        /// Bytes of the values of a panel that stores everything.
        var densePanelByteCount: Int {
            panelByteCount(even: (chunks + 1) / 2 * coding.chunkElements, odd: chunks / 2 * coding.chunkElements)
        }

        /// Bytes of all arrays of a matrix whose values take so many without the padding.
        func storedByteCount(_ positions: Positions, valueByteCount: Int) -> Int {
            (positions == .dense ? 0 : panels * chunks * coding.maskByteCount) + valueByteCount
                + QuantizedMatrix.valuePadding + 8 * (panels + 1) + 2 * panels * groups * QuantizedMatrix.panelRows
        }
    }

    /// Addresses within the matrix, which must outlive them.
    var kernelMatrix: flash_quantized {
        flash_quantized(
            masks: masks.map { UnsafeRawPointer($0.pointer) }, values: values.pointer,
            panel_offsets: panelOffsets.pointer, scales: scales.pointer, coding: coding.kernelCoding,
            rows: Int64(rows), columns: Int64(columns), group_columns: Int64(shape.groupColumns))
    }
}
