public import Tensors

extension SlicedEllpack {
    /// A matrix over arrays from outside, such as a mapped file.
    ///
    /// Checks what can be checked without reading the weights: counts, slice offsets and the order of rows. Before the
    /// first product ``checkInvariants()`` must have passed, or a damaged delta could lead a kernel outside the
    /// activations.
    /// - Throws: `SparseError.invalidShape` or `.brokenInvariant`.
    /// - Complexity: O(rows).
    public init(
        rows: Int, columns: Int, deltas: Storage<UInt8>, values: Storage<UInt16>, sliceOffsets: Storage<UInt64>,
        laneRows: Storage<UInt8>, valueType: ElementType
    ) throws(SparseError) {
        func require(_ condition: Bool, _ reason: @autoclosure () -> String) throws(SparseError) {
            if !condition { throw .brokenInvariant(reason()) }
        }
        try require(valueType == .f16 || valueType == .bf16, "values of type \(valueType), expected f16 or bf16")
        let sides = 1...Int(Int32.max)
        guard sides.contains(rows), sides.contains(columns) else { throw .invalidShape(rows: rows, columns: columns) }
        let slices = Self.sliceCount(rows: rows)
        try require(
            sliceOffsets.count == slices + 1, "\(sliceOffsets.count) slice offsets, expected \(slices + 1)")
        try require(
            laneRows.count == slices * Self.sliceRows,
            "\(laneRows.count) rows of lanes, expected \(slices * Self.sliceRows)")
        try require(
            deltas.count == values.count, "\(deltas.count) deltas, expected \(values.count) as there are values")
        try require(
            values.count % Self.sliceRows == 0,
            "\(values.count) values, expected a multiple of \(Self.sliceRows)")
        let steps = UInt64(values.count / Self.sliceRows)
        let offsets = sliceOffsets.buffer
        try require(offsets[0] == 0, "the first slice begins at step \(offsets[0]), expected 0")
        for slice in 0..<slices {
            try require(offsets[slice] <= offsets[slice + 1], "slice \(slice) ends before it begins")
        }
        try require(offsets[slices] == steps, "the last slice ends at step \(offsets[slices]), expected \(steps)")
        if let (window, row) = Self.firstRowOfTwoLanes(laneRows) {
            throw .brokenInvariant(
                "a lane of window \(window) holds row \(row), expected each row of the window once")
        }
        self.init(
            unchecked: (rows, columns), valueType: valueType, deltas: deltas, values: values,
            sliceOffsets: sliceOffsets, laneRows: laneRows)
    }

    /// The first lane that does not hold a row of its window, or one that another lane holds.
    private static func firstRowOfTwoLanes(_ laneRows: Storage<UInt8>) -> (window: Int, row: Int)? {
        let rows = laneRows.buffer
        for first in stride(from: 0, to: rows.count, by: windowRows) {
            let count = min(windowRows, rows.count - first)
            var seen: UInt128 = 0  // a bit for each row of the window
            for row in rows[first..<first + count] {
                let bit: UInt128 = Int(row) < count ? 1 << UInt128(row) : 0
                if bit == 0 || seen & bit != 0 { return (first / windowRows, Int(row)) }
                seen |= bit
            }
        }
        return nil
    }

    /// Checks every invariant of the type's description against the arrays themselves.
    /// - Throws: `SparseError.brokenInvariant` or, for a stored NaN or infinity, `.notFinite`.
    /// - Complexity: O(stored entries).
    public func checkInvariants() throws(SparseError) {
        for slice in 0..<sliceCount { try checkSlice(slice) }
    }

    private func checkSlice(_ slice: Int) throws(SparseError) {
        let exponent = SixteenBit.exponentMask(of: valueType)
        let steps = Int(sliceOffsets.pointer[slice])..<Int(sliceOffsets.pointer[slice + 1])
        for lane in 0..<Self.sliceRows {
            let row = row(ofLane: slice * Self.sliceRows + lane)
            var column = 0
            // The column of the last nonzero: the next one lies behind it.
            var last = -1
            for index in stride(
                from: steps.lowerBound * Self.sliceRows + lane, to: steps.upperBound * Self.sliceRows,
                by: Self.sliceRows)
            {
                column += Int(deltas.pointer[index])
                guard column < columns else {
                    throw .brokenInvariant("row \(row) has an entry in column \(column), expected below \(columns)")
                }
                let value = values.pointer[index]
                if SixteenBit.isZero(value) { continue }
                guard row < rows else { throw .brokenInvariant("row \(row) has a nonzero, expected \(rows) rows") }
                guard value & exponent != exponent else { throw .notFinite(row: row, column: column) }
                guard column > last else {
                    throw .brokenInvariant("row \(row) has two nonzeros in column \(column), expected one")
                }
                last = column
            }
        }
    }
}
