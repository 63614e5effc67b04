public import Tensors

extension TiledBitmap {
    /// A matrix over arrays from outside, such as a mapped file.
    ///
    /// Checks what can be checked without reading the weights: counts and panel offsets. Before the first product
    /// ``checkInvariants()`` must have passed, or a damaged mask could lead a kernel outside `values`.
    /// - Throws: `SparseError.brokenInvariant`.
    /// - Complexity: O(rows).
    public init(
        rows: Int, columns: Int, masks: Storage<UInt32>, values: Storage<UInt16>, panelOffsets: Storage<UInt64>,
        valueType: ElementType
    ) throws(SparseError) {
        func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(SparseError) {
            if !condition { throw .brokenInvariant(reason()) }
        }
        try require(valueType == .f16 || valueType == .bf16, "values of type \(valueType), expected f16 or bf16")
        try require(rows >= 1 && columns >= 1, "shape [\(rows), \(columns)]")
        let panels = Self.panelCount(rows: rows)
        let (maskCount, overflow) = panels.multipliedReportingOverflow(by: columns)
        try require(!overflow && masks.count == maskCount, "\(masks.count) masks, expected \(maskCount)")
        try require(
            panelOffsets.count == panels + 1, "\(panelOffsets.count) panel offsets, expected \(panels + 1)")
        try require(values.count >= Self.valuePadding, "\(values.count) values leave no room for the padding")
        let stored = UInt64(values.count - Self.valuePadding)
        let offsets = panelOffsets.buffer
        try require(offsets[0] == 0, "the first panel begins at value \(offsets[0]), expected 0")
        for panel in 0..<panels {
            try require(
                offsets[panel] <= offsets[panel + 1], "panel \(panel) ends before it begins")
        }
        try require(
            offsets[panels] == stored, "the last panel ends at value \(offsets[panels]), expected \(stored)")
        self.init(
            unchecked: (rows, columns), valueType: valueType, masks: masks, values: values, panelOffsets: panelOffsets)
    }

    /// Checks every invariant of the type's description against the arrays themselves.
    /// - Throws: `SparseError.brokenInvariant` or, for a stored NaN or infinity, `.notFinite` of its panel's first row.
    /// - Complexity: O(masks + stored values).
    public func checkInvariants() throws(SparseError) {
        func invalid(_ reason: String) -> SparseError { .brokenInvariant(reason) }
        let exponent = SixteenBit.exponentMask(of: valueType)
        for panel in 0..<panels {
            let first = panel * Self.panelRows
            let present: UInt32 = rows - first >= Self.panelRows ? .max : (1 << UInt32(rows - first)) - 1
            var count = 0
            var union: UInt32 = 0
            let panelMasks = masks.pointer + panel * columns
            for column in 0..<columns {
                count += panelMasks[column].nonzeroBitCount
                union |= panelMasks[column]
            }
            if union & ~present != 0 { throw invalid("panel \(panel) stores rows beyond the last") }
            let start = Int(panelOffsets.pointer[panel])
            let end = Int(panelOffsets.pointer[panel + 1])
            if count != end - start {
                throw invalid("the masks of panel \(panel) name \(count) values, expected \(end - start)")
            }
            for index in start..<end {
                let bits = values.pointer[index]
                if SixteenBit.isZero(bits) { throw invalid("panel \(panel) stores a zero") }
                if bits & exponent == exponent { throw .notFinite(row: first, column: 0) }
            }
        }
    }
}
