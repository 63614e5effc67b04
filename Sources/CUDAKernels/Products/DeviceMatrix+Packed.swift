public import CUDA
public import Sparse
public import Tensors

/// Why a matrix cannot lie in a GPU's memory.
public enum DeviceMatrixError: Error, CustomStringConvertible {
    case overflow(WeightOverflow)
    /// NaN, infinity, or more elements than a layout can count.
    case sparse(SparseError)
    case cuda(CUDAError)

    public var description: String {
        switch self {
        case .overflow(let error): error.description
        case .sparse(let error): "\(error)"
        case .cuda(let error): error.description
        }
    }
}

extension DeviceMatrix {
    /// Copies a matrix, in the layout that suits its zeros: Tiled-CSL stays what it is, all others are decoded and
    /// encoded anew.
    /// - Parameters:
    ///   - valueType: f16 or bf16, of the activations that it will meet.
    ///   - layout: nil to choose.
    ///   - pool: threads to encode with.
    /// - Complexity: O(rows * columns).
    public convenience init(
        _ matrix: PackedMatrix, as valueType: ElementType, layout: DeviceLayout? = nil, pool: WorkerPool? = nil,
        on stream: Stream
    ) throws(DeviceMatrixError) {
        if case .tiledCSL(let stored) = matrix, stored.valueType == valueType, (layout ?? .tiledCSL) == .tiledCSL {
            do { try self.init(stored, on: stream) } catch { throw .cuda(error) }
            return
        }
        let elements: Storage<UInt16>
        do { elements = try matrix.sixteenBitRows(as: valueType) } catch { throw .overflow(error) }
        let chosen = layout ?? .choose(zeros: Self.zeroShare(elements))
        try self.init(
            chosen, rows: matrix.rows, columns: matrix.columns, elements: elements, valueType: valueType, pool: pool,
            on: stream)
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
            case .bitmap(let matrix): try self.init(matrix, on: stream)
            case .laneStream(let matrix): try self.init(matrix, on: stream)
            }
        } catch { throw .cuda(error) }
    }

    private enum Encoded {
        case dense
        case tiledCSL(TiledCSL)
        case bitmap(FragmentBitmap)
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
            case .bitmap:
                self = .bitmap(
                    try FragmentBitmap(
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
