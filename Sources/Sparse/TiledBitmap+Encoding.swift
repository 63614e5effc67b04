public import Tensors

extension TiledBitmap {
    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns.
    ///
    /// Two passes over the elements: masks and counts, then values. Panels are spread over `pool`.
    /// - Throws: `SparseError.notFinite` for a NaN or an infinity.
    /// - Complexity: O(rows * columns).
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool? = nil
    ) throws(SparseError) {
        precondition(valueType == .f16 || valueType == .bf16)
        precondition(rows >= 1 && columns >= 1 && elements.count == rows * columns)
        if let index = SixteenBit.firstNotFinite(in: elements.buffer, element: valueType) {
            throw .notFinite(row: index / columns, column: index % columns)
        }
        let panels = Self.panelCount(rows: rows)
        let masks = AlignedBuffer<UInt32>(uninitializedCount: panels * columns)
        let offsets = AlignedBuffer<UInt64>(repeating: 0, count: panels + 1)
        Self.forEachPanel(panels, pool) { panel in
            let first = panel * Self.panelRows
            offsets.pointer[panel + 1] = Self.fillMasks(
                masks.pointer + panel * columns, from: elements.pointer + first * columns,
                rows: min(Self.panelRows, rows - first), columns: columns)
        }
        for panel in 0..<panels { offsets.pointer[panel + 1] += offsets.pointer[panel] }
        let stored = Int(offsets.pointer[panels])
        let values = AlignedBuffer<UInt16>(uninitializedCount: stored + Self.valuePadding)
        for padding in stored..<stored + Self.valuePadding { values.pointer[padding] = 0 }
        Self.forEachPanel(panels, pool) { panel in
            Self.fillValues(
                values.pointer + Int(offsets.pointer[panel]),
                from: elements.pointer + panel * Self.panelRows * columns,
                masks: masks.pointer + panel * columns, columns: columns)
        }
        self.init(
            unchecked: (rows, columns), valueType: valueType, masks: masks.frozen(), values: values.frozen(),
            panelOffsets: offsets.frozen())
    }

    private static func forEachPanel(_ panels: Int, _ pool: WorkerPool?, _ body: (Int) -> Void) {
        if let pool {
            pool.forEachChunk(panels) { panel, _ in body(panel) }
        } else {
            for panel in 0..<panels { body(panel) }
        }
    }

    /// Row by row, so that the source is read in order; returns the number of nonzeros.
    private static func fillMasks(
        _ masks: UnsafeMutablePointer<UInt32>, from elements: UnsafePointer<UInt16>, rows: Int, columns: Int
    ) -> UInt64 {
        for column in 0..<columns { masks[column] = 0 }
        for row in 0..<rows {
            let source = elements + row * columns
            for column in 0..<columns where !SixteenBit.isZero(source[column]) {
                masks[column] |= 1 << UInt32(row)
            }
        }
        var stored: UInt64 = 0
        for column in 0..<columns { stored += UInt64(masks[column].nonzeroBitCount) }
        return stored
    }

    private static func fillValues(
        _ values: UnsafeMutablePointer<UInt16>, from elements: UnsafePointer<UInt16>,
        masks: UnsafePointer<UInt32>, columns: Int
    ) {
        var next = values
        for column in 0..<columns {
            var mask = masks[column]
            while mask != 0 {
                next.pointee = elements[mask.trailingZeroBitCount * columns + column]
                next += 1
                mask &= mask - 1
            }
        }
    }

    /// The dense matrix, row-major 16-bit patterns; zeros are +0.0.
    public func dense() -> Storage<UInt16> {
        let elements = AlignedBuffer<UInt16>(repeating: 0, count: rows * columns)
        for panel in 0..<panels {
            var value = values.pointer + Int(panelOffsets.pointer[panel])
            let target = elements.pointer + panel * Self.panelRows * columns
            for column in 0..<columns {
                var mask = masks.pointer[panel * columns + column]
                while mask != 0 {
                    target[mask.trailingZeroBitCount * columns + column] = value.pointee
                    value += 1
                    mask &= mask - 1
                }
            }
        }
        return elements.frozen()
    }
}
