public import CUDA

/// Memory for products whose rows are shared by several blocks. One product at a time may use it.
public final class ProductWorkspace {
    private let stream: Stream
    /// Float32 sums, `[blocks of tokens, blocks, 2, sums of a block]`.
    private(set) var partials: DeviceBuffer
    /// One 32-bit counter for each row block and block of tokens, zero between products.
    private(set) var arrivals: DeviceBuffer

    /// - Parameter stream: the one on which products use it.
    /// - Throws: `CUDAError`.
    public init(on stream: Stream) throws(CUDAError) {
        self.stream = stream
        partials = try DeviceBuffer(byteCount: 0, in: stream.context)
        arrivals = try Self.zeros(byteCount: 4_096, stream)
    }

    /// The memory in use: what a recorded graph must keep.
    public var buffers: [DeviceBuffer] { [partials, arrivals] }

    func reserve(_ grid: ProductGrid, _ kernel: ProductKernel) throws(CUDAError) {
        if grid.isWhole { return }
        let partialBytes = grid.tokenBlocks * grid.blocks * 2 * kernel.sums * 4
        if partialBytes > partials.byteCount {
            partials = try DeviceBuffer(byteCount: partialBytes, in: stream.context)
        }
        let arrivalBytes = grid.rowBlocks * grid.tokenBlocks * 4
        if arrivalBytes > arrivals.byteCount { arrivals = try Self.zeros(byteCount: arrivalBytes, stream) }
    }

    private static func zeros(byteCount: Int, _ stream: Stream) throws(CUDAError) -> DeviceBuffer {
        let buffer = try DeviceBuffer(byteCount: byteCount, in: stream.context)
        try buffer.enqueueFill(on: stream)
        return buffer
    }
}
