public import CUDA
public import Sparse
public import Tensors

/// Why a matrix cannot lie in a GPU's memory.
public enum DeviceMatrixError: Error, CustomStringConvertible {
    /// Of the so many-th matrix.
    case overflow(WeightOverflow, matrix: Int)
    /// NaN, infinity, or more elements than a layout can count.
    case sparse(SparseError)
    case cuda(CUDAError)

    public var description: String {
        switch self {
        case .overflow(let error, _): error.description
        case .sparse(let error): "\(error)"
        case .cuda(let error): error.description
        }
    }
}

extension DeviceMatrix {
    /// Copies matrices of as many columns, one below the other, as one, in the layout that suits its zeros. What is
    /// Tiled-CSL throughout stays so, a single matrix as it is; all others are decoded and encoded anew.
    /// - Parameters:
    ///   - valueType: f16 or bf16, of the activations that it will meet.
    ///   - layout: nil to choose.
    ///   - pool: threads to encode with.
    /// - Complexity: O(rows * columns).
    public convenience init(
        stacking matrices: [PackedMatrix], as valueType: ElementType, layout: DeviceLayout? = nil,
        pool: WorkerPool? = nil, on stream: Stream
    ) throws(DeviceMatrixError) {
        precondition(matrices.allSatisfy { $0.columns == matrices[0].columns })
        let tiledCSL = matrices.compactMap { matrix -> TiledCSL? in
            guard case .tiledCSL(let stored) = matrix, stored.valueType == valueType else { return nil }
            return stored
        }
        let isTiledCSL = tiledCSL.count == matrices.count && (layout ?? .tiledCSL) == .tiledCSL
        if isTiledCSL, matrices.count == 1 {
            do { try self.init(tiledCSL[0], on: stream) } catch { throw .cuda(error) }
            return
        }
        var parts: [Storage<UInt16>] = []
        for (index, matrix) in matrices.enumerated() {
            do { parts.append(try matrix.sixteenBitRows(as: valueType)) } catch {
                throw .overflow(error, matrix: index)
            }
        }
        let elements = Self.joined(parts)
        try self.init(
            layout ?? (isTiledCSL ? .tiledCSL : .choose(zeros: Self.zeroShare(elements))),
            rows: matrices.reduce(0) { $0 + $1.rows }, columns: matrices[0].columns, elements: elements,
            valueType: valueType, pool: pool, on: stream)
    }

    private static func joined(_ parts: [Storage<UInt16>]) -> Storage<UInt16> {
        if parts.count == 1 { return parts[0] }
        let joined = AlignedBuffer<UInt16>(uninitializedCount: parts.reduce(0) { $0 + $1.count })
        var end = joined.pointer
        for part in parts {
            end.update(from: part.pointer, count: part.count)
            end += part.count
        }
        return joined.frozen()
    }

    /// Encodes dense row-major 16-bit elements in a layout.
    /// - Complexity: O(rows * columns).
    public convenience init(
        _ layout: DeviceLayout, rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType,
        pool: WorkerPool? = nil, on stream: Stream
    ) throws(DeviceMatrixError) {
        let encoded: Encoded
        do throws(SparseError) {
            encoded = try Encoded(
                layout, rows: rows, columns: columns, elements: elements, valueType: valueType, pool: pool)
        } catch { throw .sparse(error) }
        do throws(CUDAError) {
            switch encoded {
            case .dense:
                try self.init(
                    denseRows: rows, columns: columns, elements: elements, valueType: valueType, on: stream)
            case .tiledCSL(let matrix): try self.init(matrix, on: stream)
            case .laneBitmap(let matrix): try self.init(matrix, on: stream)
            case .laneStream(let matrix): try self.init(matrix, on: stream)
            }
        } catch { throw .cuda(error) }
    }

    private enum Encoded {
        case dense
        case tiledCSL(TiledCSL)
        case laneBitmap(LaneBitmap)
        case laneStream(LaneStream)

        init(
            _ layout: DeviceLayout, rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType,
            pool: WorkerPool?
        ) throws(SparseError) {
            switch layout {
            case .dense: self = .dense
            case .tiledCSL:
                self = .tiledCSL(
                    try TiledCSL(rows: rows, columns: columns, elements: elements, valueType: valueType))
            case .laneBitmap:
                self = .laneBitmap(
                    try LaneBitmap(
                        rows: rows, columns: columns, elements: elements, valueType: valueType, pool: pool))
            case .laneStream:
                self = .laneStream(
                    try LaneStream(
                        rows: rows, columns: columns, elements: elements, valueType: valueType, pool: pool))
            }
        }
    }

    private static func zeroShare(_ elements: Storage<UInt16>) -> Double {
        // Both zeros have no bit but the sign.
        let zeros = elements.buffer.count { $0 & 0x7FFF == 0 }
        return Double(zeros) / Double(elements.count)
    }
}
