import CKernels
public import Tensors

/// A weight matrix `[rows, columns]` as one bit per element and the packed nonzero values, 16 bits each.
///
/// The rows are cut into panels of 32 (the last one padded with zeros); a panel runs over all columns, and the values
/// of one column of a panel expand to vector lanes that are its rows:
///
///     masks         [panels, columns]  UInt32   bit r: row 32 * panel + r of this column is stored
///     values        [stored + 32]      UInt16   panel by panel, column by column, rows in ascending order;
///                                               f16 or bf16 patterns, none of them a zero; 32 zeros behind the last
///     panelOffsets  [panels + 1]       UInt64   index of each panel's first value; the last one is `stored`
///
/// 1 bit per element + 16 per nonzero: (1/8 + 2 * density) bytes per weight, smaller than Tiled-CSL at every sparsity
/// below 97 %. The trailing zeros let a kernel load whole vectors. -0.0 is a zero and comes back as +0.0.
public struct TiledBitmap: Sendable {
    public static let panelRows = Int(FLASH_PANEL_ROWS)
    static let valuePadding = Int(FLASH_VALUE_PADDING)

    public let rows: Int
    public let columns: Int
    /// f16 or bf16.
    public let valueType: ElementType
    public let masks: Storage<UInt32>
    public let values: Storage<UInt16>
    public let panelOffsets: Storage<UInt64>

    var panels: Int { Self.panelCount(rows: rows) }

    /// Number of stored values.
    public var nonzeroCount: Int { Int(panelOffsets[panelOffsets.count - 1]) }

    /// Bytes of the three arrays.
    public var storedByteCount: Int { masks.byteCount + values.byteCount + panelOffsets.byteCount }

    /// Bytes that a matrix of this shape takes with so many nonzeros.
    public static func storedByteCount(rows: Int, columns: Int, nonzeroCount: Int) -> Int {
        let panels = panelCount(rows: rows)
        return 4 * panels * columns + 2 * (nonzeroCount + valuePadding) + 8 * (panels + 1)
    }

    static func panelCount(rows: Int) -> Int { (rows + panelRows - 1) / panelRows }

    /// Joins arrays that are known to keep the invariants, as far as the caller has checked them.
    init(
        unchecked shape: (rows: Int, columns: Int), valueType: ElementType, masks: Storage<UInt32>,
        values: Storage<UInt16>,
        panelOffsets: Storage<UInt64>
    ) {
        rows = shape.rows
        columns = shape.columns
        self.valueType = valueType
        self.masks = masks
        self.values = values
        self.panelOffsets = panelOffsets
    }

    /// Addresses within the matrix, which must outlive them.
    var kernelMatrix: flash_tiled_bitmap {
        flash_tiled_bitmap(
            masks: masks.pointer, values: values.pointer, panel_offsets: panelOffsets.pointer,
            element: valueType.kernelElement, rows: Int64(rows), columns: Int64(columns))
    }
}
