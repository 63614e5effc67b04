public import Tensors

extension SlicedEllpack {
    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns.
    ///
    /// Two passes over the elements: lengths of rows, then entries. Rows and slices are spread over `pool`.
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
        let plan = SlicePlan(rows: rows, columns: columns, elements: elements, pool: pool)
        let slices = Self.sliceCount(rows: rows)
        let entryCount = plan.stepCount * Self.sliceRows
        let deltas = AlignedBuffer<UInt8>(uninitializedCount: entryCount)
        let values = AlignedBuffer<UInt16>(uninitializedCount: entryCount)
        forEachIndex(slices, pool) { slice, _ in
            let first = plan.sliceOffsets.pointer[slice]
            let end = plan.sliceOffsets.pointer[slice + 1]
            let range = Int(first) * Self.sliceRows..<Int(end) * Self.sliceRows
            for index in range {
                deltas.pointer[index] = 0
                values.pointer[index] = 0
            }
            for lane in 0..<Self.sliceRows {
                let row = plan.row(ofLane: slice * Self.sliceRows + lane)
                if row >= rows { continue }
                Self.fillLane(
                    deltas.pointer + range.lowerBound + lane, values.pointer + range.lowerBound + lane,
                    from: elements.pointer + row * columns, columns: columns)
            }
        }
        self.init(
            unchecked: (rows, columns), valueType: valueType, deltas: deltas.frozen(), values: values.frozen(),
            sliceOffsets: plan.sliceOffsets, laneRows: plan.laneRows)
    }

    /// Bytes that the matrix with these elements takes.
    /// - Complexity: O(rows * columns).
    static func storedByteCount(
        rows: Int, columns: Int, elements: Storage<UInt16>, pool: WorkerPool? = nil
    ) -> Int {
        let plan = SlicePlan(rows: rows, columns: columns, elements: elements, pool: pool)
        return plan.stepCount * sliceRows * 3 + plan.sliceOffsets.byteCount + plan.laneRows.byteCount
    }

    /// Writes the entries of one row, a slice's width apart, over zeros.
    private static func fillLane(
        _ deltas: UnsafeMutablePointer<UInt8>, _ values: UnsafeMutablePointer<UInt16>,
        from elements: UnsafePointer<UInt16>, columns: Int
    ) {
        var entry = 0
        var last = 0
        for column in 0..<columns where !SixteenBit.isZero(elements[column]) {
            while column - last > longestDelta {
                deltas[entry] = UInt8(longestDelta)
                last += longestDelta
                entry += sliceRows
            }
            deltas[entry] = UInt8(column - last)
            values[entry] = elements[column]
            last = column
            entry += sliceRows
        }
    }

    /// The dense matrix, row-major 16-bit patterns; zeros are +0.0.
    public func dense() -> Storage<UInt16> {
        let elements = AlignedBuffer<UInt16>(repeating: 0, count: rows * columns)
        for lane in 0..<sliceCount * Self.sliceRows {
            let row = row(ofLane: lane)
            if row >= rows { continue }
            let target = elements.pointer + row * columns
            var column = 0
            for step in sliceOffsets.pointer[lane / Self.sliceRows]..<sliceOffsets.pointer[lane / Self.sliceRows + 1] {
                let index = Int(step) * Self.sliceRows + lane % Self.sliceRows
                column += Int(deltas.pointer[index])
                let value = values.pointer[index]
                if !SixteenBit.isZero(value) { target[column] = value }
            }
        }
        return elements.frozen()
    }
}

/// How the rows of a matrix are sorted into slices, and how many steps each slice takes.
private struct SlicePlan {
    let sliceOffsets: Storage<UInt64>
    let laneRows: Storage<UInt8>

    var stepCount: Int { Int(sliceOffsets[sliceOffsets.count - 1]) }

    init(rows: Int, columns: Int, elements: Storage<UInt16>, pool: WorkerPool?) {
        let slices = SlicedEllpack.sliceCount(rows: rows)
        let lanes = slices * SlicedEllpack.sliceRows
        let window = SlicedEllpack.windowRows
        let laneRows = AlignedBuffer<UInt8>(uninitializedCount: lanes)
        let offsets = AlignedBuffer<UInt64>(repeating: 0, count: slices + 1)
        forEachIndex((lanes + window - 1) / window, pool) { index, _ in
            let first = index * window
            let count = min(window, lanes - first)
            let lengths = (first..<first + count).map { row in
                row < rows ? Self.entryCount(elements.pointer + row * columns, columns: columns) : 0
            }
            // The longest first; rows of the same length stay in order, and what lies beyond the last row comes last.
            let sorted = (0..<count).sorted { (lengths[$1], $0) < (lengths[$0], $1) }
            for (lane, row) in sorted.enumerated() { laneRows.pointer[first + lane] = UInt8(row) }
            for lane in stride(from: 0, to: count, by: SlicedEllpack.sliceRows) {
                offsets.pointer[(first + lane) / SlicedEllpack.sliceRows + 1] = UInt64(lengths[sorted[lane]])
            }
        }
        for slice in 0..<slices { offsets.pointer[slice + 1] += offsets.pointer[slice] }
        sliceOffsets = offsets.frozen()
        self.laneRows = laneRows.frozen()
    }

    func row(ofLane lane: Int) -> Int {
        lane / SlicedEllpack.windowRows * SlicedEllpack.windowRows + Int(laneRows.pointer[lane])
    }

    /// Nonzeros of a row and the filling between those that are far apart.
    private static func entryCount(_ elements: UnsafePointer<UInt16>, columns: Int) -> Int {
        var count = 0
        var last = 0
        for column in 0..<columns where !SixteenBit.isZero(elements[column]) {
            let gap = column - last
            count += gap > SlicedEllpack.longestDelta ? (gap - 1) / SlicedEllpack.longestDelta + 1 : 1
            last = column
        }
        return count
    }
}
