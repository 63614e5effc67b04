import CKernels
public import Tensors

extension SlicedEllpack {
    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns.
    ///
    /// Two passes over the elements: lengths of rows, then entries. Rows and slices are spread over `pool`.
    /// - Throws: `SparseError.notFinite` for a NaN or an infinity.
    /// - Complexity: O(rows * columns).
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, pool: WorkerPool? = nil,
        kernels: Kernels = .best
    ) throws(SparseError) {
        let survey = try NonzeroSurvey(
            rows: rows, columns: columns, elements: elements, valueType: valueType, pool: pool, kernels: kernels)
        self.init(survey, pool: pool, kernels: kernels)
    }

    /// Encodes a matrix whose rows are sorted: the second pass.
    init(_ survey: NonzeroSurvey, pool: WorkerPool?, kernels: Kernels = .best) {
        let (rows, columns, plan) = (survey.rows, survey.columns, survey.slices)
        let entryCount = plan.stepCount * Self.sliceRows
        let deltas = AlignedBuffer<UInt8>(uninitializedCount: entryCount)
        let values = AlignedBuffer<UInt16>(uninitializedCount: entryCount)
        let words = (columns + UInt64.bitWidth - 1) / UInt64.bitWidth
        let bits = AlignedBuffer<UInt64>(uninitializedCount: words * (pool?.threadCount ?? 1))
        forEachIndex(Self.sliceCount(rows: rows), pool) { slice, thread in
            let bits = bits.pointer + thread * words
            let first = Int(plan.sliceOffsets.pointer[slice]) * Self.sliceRows
            let count = Int(plan.sliceOffsets.pointer[slice + 1]) * Self.sliceRows - first
            (deltas.pointer + first).update(repeating: 0, count: count)
            (values.pointer + first).update(repeating: 0, count: count)
            for lane in 0..<Self.sliceRows {
                let row = plan.row(ofLane: slice * Self.sliceRows + lane)
                if row >= rows { continue }
                let elements = survey.elements.pointer + row * columns
                _ = kernels.table.nonzero_bits(elements, Int64(columns), survey.valueType.kernelElement, bits)
                Self.fillLane(
                    deltas.pointer + first + lane, values.pointer + first + lane, from: elements, bits: bits,
                    words: words, end: count)
            }
        }
        self.init(
            unchecked: (rows, columns), valueType: survey.valueType, deltas: deltas.frozen(), values: values.frozen(),
            sliceOffsets: plan.sliceOffsets, laneRows: plan.laneRows)
    }

    /// Writes the entries of one row, a slice's width apart, over zeros.
    /// - Parameter bits: the row's nonzeros, 64 columns a word.
    private static func fillLane(
        _ deltas: UnsafeMutablePointer<UInt8>, _ values: UnsafeMutablePointer<UInt16>,
        from elements: UnsafePointer<UInt16>, bits: UnsafePointer<UInt64>, words: Int, end: Int
    ) {
        var entry = 0
        var last = 0
        for index in 0..<words {
            var word = bits[index]
            while word != 0 {
                let column = index * UInt64.bitWidth + word.trailingZeroBitCount
                word &= word - 1
                let filling = max(column - last - 1, 0) / longestDelta
                precondition(entry + filling * sliceRows < end, "a row changed while it was packed")
                for _ in 0..<filling {
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
