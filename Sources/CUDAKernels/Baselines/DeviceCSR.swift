public import CUDA
import Sparse
public import Tensors

/// A weight matrix `[rows, columns]` in a GPU's memory by compressed rows, as cuSPARSE and many others read it.
public final class DeviceCSR: Sendable {
    public let rows: Int
    public let columns: Int
    public let nonzeroCount: Int
    /// Int32 `[rows + 1]`: where each row's elements begin.
    public let rowOffsets: DeviceBuffer
    /// Int32 `[nonzeroCount]`, ascending in a row.
    public let columnIndices: DeviceBuffer
    /// f16 `[nonzeroCount]`.
    public let values: DeviceBuffer

    public var storedByteCount: Int { rowOffsets.byteCount + columnIndices.byteCount + values.byteCount }

    /// Copies the nonzeros of a dense matrix, row-major f16 patterns, `repetitions` times below each other.
    /// - Returns: of a matrix of `rows * repetitions` rows.
    /// - Throws: `SparseError.tooManyStoredElements` where offsets do not fit 32 bits; `CUDAError`.
    /// - Complexity: O(rows * columns); the copies are made on the GPU.
    public init(
        rows: Int, columns: Int, elements: Storage<UInt16>, repetitions: Int, pool: WorkerPool, on stream: Stream
    ) throws {
        precondition(elements.count == rows * columns && repetitions >= 1)
        let offsets = AlignedBuffer<Int32>(repeating: 0, count: rows + 1)
        pool.forEachChunk(rows) { row, _ in
            var count: Int32 = 0
            for column in 0..<columns where elements.pointer[row * columns + column] & 0x7FFF != 0 { count += 1 }
            offsets.pointer[row + 1] = count
        }
        var total = 0
        for row in 0..<rows {
            total += Int(offsets.pointer[row + 1])
            offsets.pointer[row + 1] = Int32(clamping: total)
        }
        guard total * repetitions <= Int(Int32.max) else {
            throw SparseError.tooManyStoredElements(limit: Int(Int32.max), found: total * repetitions)
        }
        let indices = AlignedBuffer<Int32>(uninitializedCount: total)
        let values = AlignedBuffer<UInt16>(uninitializedCount: total)
        pool.forEachChunk(rows) { row, _ in
            var next = Int(offsets.pointer[row])
            for column in 0..<columns {
                let bits = elements.pointer[row * columns + column]
                if bits & 0x7FFF == 0 { continue }
                indices.pointer[next] = Int32(column)
                values.pointer[next] = bits
                next += 1
            }
        }
        var stacked: [Int32] = [0]
        for repetition in 0..<repetitions {
            for row in 1...rows { stacked.append(offsets.pointer[row] + Int32(repetition * total)) }
        }
        self.rows = rows * repetitions
        self.columns = columns
        nonzeroCount = total * repetitions
        rowOffsets = try DeviceBuffer(stacked, on: stream)
        columnIndices = try DeviceBuffer(repeating: indices.frozen(), count: repetitions, on: stream)
        self.values = try DeviceBuffer(repeating: values.frozen(), count: repetitions, on: stream)
    }

    private init(copying other: DeviceCSR, on stream: Stream) throws(CUDAError) {
        rows = other.rows
        columns = other.columns
        nonzeroCount = other.nonzeroCount
        rowOffsets = try DeviceBuffer(copying: other.rowOffsets, on: stream)
        columnIndices = try DeviceBuffer(copying: other.columnIndices, on: stream)
        values = try DeviceBuffer(copying: other.values, on: stream)
    }

    /// The same matrix in other memory.
    /// - Throws: `CUDAError`.
    public func copy(on stream: Stream) throws(CUDAError) -> DeviceCSR { try DeviceCSR(copying: self, on: stream) }
}
