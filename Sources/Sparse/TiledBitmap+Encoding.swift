import CKernels
public import Tensors

extension TiledBitmap {
    /// Encodes a dense matrix `[rows, columns]`, row-major 16-bit patterns.
    ///
    /// Two passes over the elements: counts, then masks and values. Panels are spread over `pool`.
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

    /// Encodes a matrix whose nonzeros are counted: the second pass.
    init(_ survey: NonzeroSurvey, pool: WorkerPool?, kernels: Kernels = .best) {
        let (rows, columns, stored) = (survey.rows, survey.columns, survey.nonzeroCount)
        let panels = Self.panelCount(rows: rows)
        let masks = AlignedBuffer<UInt32>(uninitializedCount: panels * columns)
        let values = AlignedBuffer<UInt16>(uninitializedCount: stored + Self.valuePadding)
        for padding in stored..<stored + Self.valuePadding { values.pointer[padding] = 0 }
        let offsets = survey.panelOffsets
        forEachIndex(panels, pool) { panel, _ in
            let first = panel * Self.panelRows
            let room = Int64(offsets[panel + 1] - offsets[panel])
            let count = kernels.table.pack_panel(
                survey.elements.pointer + first * columns, Int64(min(Self.panelRows, rows - first)), Int64(columns),
                masks.pointer + panel * columns, values.pointer + Int(offsets[panel]), room)
            precondition(count == room, "panel \(panel) changed while it was packed")
        }
        self.init(
            unchecked: (rows, columns), valueType: survey.valueType, masks: masks.frozen(), values: values.frozen(),
            panelOffsets: offsets)
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
