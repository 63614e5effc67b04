public import CUDA
public import Sparse
public import Tensors

/// A weight matrix `[rows, columns]` in a GPU's memory, in a layout that a kernel of ours multiplies with.
public final class DeviceMatrix: Sendable {
    /// How the weights lie there; what to choose when is ``DeviceLayout``'s to say.
    public let layout: DeviceLayout
    public let rows: Int
    public let columns: Int
    /// f16 or bf16: of the weights, and so of the activations.
    public let valueType: ElementType
    /// Bytes of all arrays: what a product reads.
    public let storedByteCount: Int

    /// Elements from row to row of the dense layout.
    var denseStride: Int { Self.denseStride(columns) }

    private static func denseStride(_ columns: Int) -> Int { (columns + 7) / 8 * 8 }

    let context: Context
    /// The arrays in the order in which the layout's kernel takes them.
    let arrays: [DeviceBuffer]

    init(
        _ layout: DeviceLayout, rows: Int, columns: Int, valueType: ElementType, arrays: [DeviceBuffer],
        in context: Context
    ) {
        self.layout = layout
        self.rows = rows
        self.columns = columns
        self.valueType = valueType
        self.arrays = arrays
        self.context = context
        storedByteCount = arrays.reduce(0) { $0 + $1.byteCount }
    }
}

extension DeviceMatrix {
    /// Copies a matrix as it is.
    /// - Throws: `CUDAError`.
    public convenience init(_ matrix: TiledCSL, on stream: Stream) throws(CUDAError) {
        self.init(
            .tiledCSL, rows: matrix.rows, columns: matrix.columns, valueType: matrix.valueType,
            arrays: [
                try DeviceBuffer(matrix.words, on: stream), try DeviceBuffer(matrix.tileOffsets, on: stream),
            ], in: stream.context)
    }

    /// Copies a matrix as it is.
    /// - Throws: `CUDAError`.
    public convenience init(_ matrix: LaneBitmap, on stream: Stream) throws(CUDAError) {
        self.init(
            .laneBitmap, rows: matrix.rows, columns: matrix.columns, valueType: matrix.valueType,
            arrays: [
                try DeviceBuffer(matrix.words, on: stream), try DeviceBuffer(matrix.bits, on: stream),
                try DeviceBuffer(matrix.firstGroups, on: stream),
            ], in: stream.context)
    }

    /// Copies a matrix as it is.
    /// - Throws: `CUDAError`.
    public convenience init(_ matrix: LaneStream, on stream: Stream) throws(CUDAError) {
        self.init(
            .laneStream, rows: matrix.rows, columns: matrix.columns, valueType: matrix.valueType,
            arrays: [
                try DeviceBuffer(matrix.words, on: stream), try DeviceBuffer(matrix.steps, on: stream),
                try DeviceBuffer(matrix.firstGroups, on: stream),
            ], in: stream.context)
    }

    /// Copies dense row-major 16-bit elements, each row filled up with zeros to a multiple of 8.
    /// - Throws: `CUDAError`.
    public convenience init(
        denseRows rows: Int, columns: Int, elements: Storage<UInt16>, valueType: ElementType, on stream: Stream
    ) throws(CUDAError) {
        precondition(elements.count == rows * columns, "\(elements.count) elements of \(rows) x \(columns)")
        self.init(
            .dense, rows: rows, columns: columns, valueType: valueType,
            arrays: [try DeviceBuffer(Self.padded(elements, rows, columns), on: stream)], in: stream.context)
    }

    private static func padded(_ elements: Storage<UInt16>, _ rows: Int, _ columns: Int) -> Storage<UInt16> {
        let stride = denseStride(columns)
        if stride == columns { return elements }
        let copy = AlignedBuffer<UInt16>(repeating: 0, count: rows * stride)
        for row in 0..<rows {
            (copy.pointer + row * stride).update(from: elements.pointer + row * columns, count: columns)
        }
        return copy.frozen()
    }
}

extension DeviceBuffer {
    /// A buffer that holds `elements`. Returns when they are there.
    /// - Throws: `outOfMemory`, `callFailed`.
    public convenience init<Element>(_ elements: Storage<Element>, on stream: Stream) throws(CUDAError) {
        try self.init(byteCount: elements.byteCount, in: stream.context)
        try enqueueCopy(from: UnsafeRawBufferPointer(elements.buffer), on: stream)
        try stream.synchronize()
    }
}
