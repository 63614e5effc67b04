import CCUDA

/// Memory of a GPU that frees itself. Its content is undefined until something is written.
///
/// The driver frees it when the work that the GPU was given before is done, so a buffer may go while a kernel uses it.
///
/// Safety: the address never changes; what is in the memory is ordered by streams, as kernels' accesses are.
public final class DeviceBuffer: @unchecked Sendable {
    public let context: Context
    public let byteCount: Int
    /// The first byte, aligned to 256 bytes, as kernels take it.
    public let address: UInt64

    /// - Parameter byteCount: 0 or more; of none there is an address, too.
    /// - Throws: `outOfMemory`, `callFailed`.
    public init(byteCount: Int, in context: Context) throws(CUDAError) {
        precondition(byteCount >= 0, "a buffer of \(byteCount) bytes")
        self.context = context
        self.byteCount = byteCount
        address = try Self.allocate(max(byteCount, 1), context)
    }

    /// A buffer that holds `elements`. Returns when they are there.
    /// - Throws: `outOfMemory`, `callFailed`.
    public convenience init<Element: BitwiseCopyable>(_ elements: [Element], on stream: Stream) throws(CUDAError) {
        try self.init(byteCount: elements.count * MemoryLayout<Element>.stride, in: stream.context)
        try write(elements, on: stream)
    }

    deinit {
        context.release { $0.cuMemFree_v2!(address) }
    }

    private static func allocate(_ byteCount: Int, _ context: Context) throws(CUDAError) -> UInt64 {
        var address: CUdeviceptr = 0
        do {
            try context.call("cuMemAlloc_v2") { $0.cuMemAlloc_v2!(&address, byteCount) }
        } catch .callFailed(_, code: FLASH_CUDA_ERROR_OUT_OF_MEMORY, _, _) {
            let (free, total) = try context.memory()
            throw .outOfMemory(askedBytes: byteCount, freeBytes: free, totalBytes: total)
        }
        return address
    }

    /// The address of a byte, for the parameters of a kernel.
    /// - Precondition: `byteOffset` is in the buffer or at its end.
    public func address(at byteOffset: Int) -> UInt64 {
        precondition((0...byteCount).contains(byteOffset), "byte \(byteOffset) of a buffer of \(byteCount) bytes")
        return address + UInt64(byteOffset)
    }

    /// - Throws: `outOfBounds` unless `count` bytes from `offset` on lie in the buffer.
    func checkRange(_ offset: Int, _ count: Int, _ operation: String) throws(CUDAError) {
        let (end, overflow) = offset.addingReportingOverflow(count)
        guard offset >= 0, count >= 0, !overflow, end <= byteCount else {
            let last = overflow ? Int.max : max(end, offset)
            throw .outOfBounds(operation: operation, range: offset..<last, byteCount: byteCount)
        }
    }
}
