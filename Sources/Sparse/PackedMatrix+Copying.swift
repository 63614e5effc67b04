public import Tensors

extension PackedMatrix {
    /// A copy in memory of its own: for measurements, whose working sets must be larger than every cache.
    /// - Complexity: O(stored bytes).
    public func copied(in arena: Arena) -> PackedMatrix {
        switch self {
        case .dense(let matrix):
            return .dense(
                DenseMatrix(
                    rows: matrix.rows, columns: matrix.columns, element: matrix.element,
                    bytes: matrix.bytes.copied(in: arena)))
        case .tiledCSL(let matrix):
            return .tiledCSL(
                TiledCSL(
                    unchecked: matrix.shape, valueType: matrix.valueType, words: matrix.words.copied(in: arena),
                    tileOffsets: matrix.tileOffsets.copied(in: arena)))
        case .slicedEllpack(let matrix):
            return .slicedEllpack(
                SlicedEllpack(
                    unchecked: (matrix.rows, matrix.columns), valueType: matrix.valueType,
                    deltas: matrix.deltas.copied(in: arena), values: matrix.values.copied(in: arena),
                    sliceOffsets: matrix.sliceOffsets.copied(in: arena),
                    laneRows: matrix.laneRows.copied(in: arena)))
        case .tiledBitmap(let matrix):
            return .tiledBitmap(
                TiledBitmap(
                    unchecked: (matrix.rows, matrix.columns), valueType: matrix.valueType,
                    masks: matrix.masks.copied(in: arena), values: matrix.values.copied(in: arena),
                    panelOffsets: matrix.panelOffsets.copied(in: arena)))
        case .quantized(let matrix):
            return .quantized(
                QuantizedMatrix(
                    unchecked: matrix.shape, masks: matrix.masks?.copied(in: arena),
                    values: matrix.values.copied(in: arena), panelOffsets: matrix.panelOffsets.copied(in: arena),
                    scales: matrix.scales.copied(in: arena)))
        }
    }
}

extension Storage {
    fileprivate func copied(in arena: Arena) -> Storage {
        let copy = arena.buffer(byteCount: byteCount)
        _ = copy.elements.update(fromContentsOf: bytes.buffer)
        // An arena aligns for every element.
        return copy.frozen().reinterpreted(as: Element.self)!
    }
}
