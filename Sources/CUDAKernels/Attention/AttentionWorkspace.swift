public import CUDA

/// Memory for attention whose context is cut into parts. One stream at a time may use it.
public final class AttentionWorkspace {
    public let geometry: AttentionGeometry
    public private(set) var slotCount = 0
    /// Float32 `[slots, cacheHeads, rows of a block, headStride + 2]`.
    private(set) var partials: DeviceBuffer
    /// 32-bit `[slots, cacheHeads]`, zero between launches.
    private(set) var arrivals: DeviceBuffer
    private let stream: Stream

    /// - Throws: `CUDAError`.
    public init(_ geometry: AttentionGeometry, on stream: Stream) throws(CUDAError) {
        self.geometry = geometry
        self.stream = stream
        partials = try DeviceBuffer(byteCount: 0, in: stream.context)
        arrivals = try DeviceBuffer(byteCount: 0, in: stream.context)
    }

    /// The memory in use: what a recorded graph must keep.
    public var buffers: [DeviceBuffer] { [partials, arrivals] }

    /// Makes room for the partial outputs of a schedule; must not have to while a graph is recorded.
    /// - Throws: `CUDAError`.
    public func reserve(slots: Int) throws(CUDAError) {
        if slots <= slotCount { return }
        let rows = AttentionShape.allCases.map(\.rows).max()!
        partials = try DeviceBuffer(
            byteCount: slots * geometry.cacheHeads * rows * (geometry.headStride + 2) * 4, in: stream.context)
        arrivals = try DeviceBuffer(byteCount: slots * geometry.cacheHeads * 4, in: stream.context)
        try arrivals.enqueueFill(on: stream)
        slotCount = slots
    }
}
