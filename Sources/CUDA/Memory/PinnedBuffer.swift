import CCUDA

/// Memory of the host that the GPU reads and writes itself, at full speed and beside the program.
///
/// Pinned memory is taken from everybody else: use it for what goes back and forth at every step. A buffer must stay
/// until the copies it takes part in are done.
public final class PinnedBuffer: @unchecked Sendable {
    public let context: Context
    public let byteCount: Int
    private let base: UnsafeMutableRawPointer

    /// Not initialised.
    /// - Throws: `callFailed`.
    public init(byteCount: Int, in context: Context) throws(CUDAError) {
        precondition(byteCount >= 0, "a buffer of \(byteCount) bytes")
        var pointer: UnsafeMutableRawPointer?
        try context.call("cuMemHostAlloc") { $0.cuMemHostAlloc!(&pointer, max(byteCount, 1), 0) }
        guard let pointer else { preconditionFailure("cuMemHostAlloc succeeded and gave no memory") }
        self.context = context
        self.byteCount = byteCount
        base = pointer
    }

    deinit {
        context.release { $0.cuMemFreeHost!(base) }
    }

    /// Valid while the buffer lives. The program and the GPU must not use it at the same time: a stream's `synchronize`
    /// or an event separates them.
    public var bytes: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(start: base, count: byteCount) }

    /// The bytes as elements; those at the end that make no whole element are left out.
    public func elements<Element: BitwiseCopyable>(as type: Element.Type) -> UnsafeMutableBufferPointer<Element> {
        let count = byteCount / MemoryLayout<Element>.stride
        return UnsafeMutableBufferPointer(start: base.bindMemory(to: Element.self, capacity: count), count: count)
    }
}
