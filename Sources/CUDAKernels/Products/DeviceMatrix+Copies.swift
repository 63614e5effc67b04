public import CUDA
import Tensors

/// Large matrices out of small ones, made by the GPU: encoding half a billion elements for every measurement would take
/// longer than the measurements.
extension DeviceMatrix {
    /// The matrix of `repetitions` copies of this one, one below the other.
    ///
    /// All layouts lie panel by panel, so that a copy is the same arrays behind each other, and only the places where
    /// panels begin move on.
    /// - Precondition: unless it is repeated once, the rows are a multiple of 128: whole tiles and panels.
    /// - Throws: `CUDAError`.
    public func stacked(_ repetitions: Int, on stream: Stream) throws(CUDAError) -> DeviceMatrix {
        precondition(repetitions == 1 || rows % Self.stackedRows == 0)
        var stacked: [DeviceBuffer] = []
        for (index, array) in arrays.enumerated() {
            let isOffsets = index == arrays.count - 1 && layout != .dense
            if isOffsets {
                let offsets = try array.read(UInt32.self, count: array.byteCount / 4, on: stream)
                stacked.append(try DeviceBuffer(offsetsRepeated(offsets, repetitions), on: stream))
            } else {
                stacked.append(try DeviceBuffer(repeating: array, count: repetitions, on: stream))
            }
        }
        return DeviceMatrix(
            layout, rows: rows * repetitions, columns: columns, valueType: valueType, arrays: stacked, in: context)
    }

    /// Rows of whole tiles and bands.
    private static let stackedRows = 128

    /// Tiled-CSL has the end twice.
    private func offsetsRepeated(_ offsets: [UInt32], _ repetitions: Int) -> [UInt32] {
        let ends = layout == .tiledCSL ? 2 : 1
        let size = offsets[offsets.count - 1]
        var all: [UInt32] = []
        all.reserveCapacity((offsets.count - ends) * repetitions + ends)
        for repetition in 0..<UInt32(repetitions) {
            for offset in offsets.dropLast(ends) { all.append(offset + repetition * size) }
        }
        for _ in 0..<ends { all.append(size * UInt32(repetitions)) }
        return all
    }

    /// The same matrix in other memory.
    /// - Throws: `CUDAError`.
    public func copy(on stream: Stream) throws(CUDAError) -> DeviceMatrix {
        var copies: [DeviceBuffer] = []
        for array in arrays { copies.append(try DeviceBuffer(copying: array, on: stream)) }
        return DeviceMatrix(
            layout, rows: rows, columns: columns, valueType: valueType, arrays: copies, in: context)
    }
}

extension DeviceBuffer {
    /// A buffer that holds the bytes of another one.
    /// - Throws: `CUDAError`.
    convenience init(copying other: DeviceBuffer, on stream: Stream) throws(CUDAError) {
        try self.init(repeating: other, count: 1, on: stream)
    }

    /// A buffer that holds the bytes of another one so many times. Returns when they are there.
    /// - Throws: `CUDAError`.
    convenience init(repeating other: DeviceBuffer, count: Int, on stream: Stream) throws(CUDAError) {
        try self.init(byteCount: other.byteCount * count, in: stream.context)
        for index in 0..<count {
            try enqueueCopy(from: other, range: 0..<other.byteCount, at: index * other.byteCount, on: stream)
        }
        try stream.synchronize()
    }

    /// A buffer that holds `elements` so many times; they come from the host once. Returns when they are there.
    /// - Throws: `CUDAError`.
    convenience init<Element>(repeating elements: Storage<Element>, count: Int, on stream: Stream) throws(CUDAError) {
        try self.init(byteCount: elements.byteCount * count, in: stream.context)
        try enqueueCopy(from: UnsafeRawBufferPointer(elements.buffer), on: stream)
        for index in 1..<max(count, 1) {
            try enqueueCopy(from: self, range: 0..<elements.byteCount, at: index * elements.byteCount, on: stream)
        }
        try stream.synchronize()
    }
}
