import CCUDA

/// A queue of work for the GPU: what one stream is given happens in order, different streams side by side.
public final class Stream: @unchecked Sendable {
    public let context: Context
    let handle: CUstream

    /// A stream that does not wait for the default one.
    /// - Throws: `callFailed`.
    public init(in context: Context) throws(CUDAError) {
        var handle: CUstream?
        try context.call("cuStreamCreate") { $0.cuStreamCreate!(&handle, UInt32(FLASH_CUDA_STREAM_NON_BLOCKING)) }
        guard let handle else { preconditionFailure("cuStreamCreate succeeded and gave no stream") }
        self.context = context
        self.handle = handle
    }

    /// Work that is under way goes on to its end.
    deinit {
        context.release { $0.cuStreamDestroy_v2!(handle) }
    }

    /// The driver's handle, for libraries that take one (cuBLAS, cuSPARSE). Valid while the stream lives.
    public var pointer: OpaquePointer { handle }

    /// Waits until everything that the stream was given is done.
    /// - Throws: `callFailed`, also for work that failed since the last wait.
    public func synchronize() throws(CUDAError) {
        try context.call("cuStreamSynchronize") { $0.cuStreamSynchronize!(handle) }
    }

    /// Lets what is given to the stream from now on wait for `event`. The caller does not wait.
    /// - Throws: `callFailed`.
    public func wait(for event: Event) throws(CUDAError) {
        try context.call("cuStreamWaitEvent") { $0.cuStreamWaitEvent!(handle, event.handle, 0) }
    }
}
