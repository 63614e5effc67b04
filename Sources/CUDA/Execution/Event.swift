import CCUDA

/// A point in a stream, to wait for or to measure time between.
public final class Event: @unchecked Sendable {
    public let context: Context
    let handle: CUevent

    /// - Parameter timing: whether it can measure; without, waiting for it is cheaper.
    /// - Throws: `callFailed`.
    public init(timing: Bool = true, in context: Context) throws(CUDAError) {
        var handle: CUevent?
        let flags = timing ? 0 : UInt32(FLASH_CUDA_EVENT_DISABLE_TIMING)
        try context.call("cuEventCreate") { $0.cuEventCreate!(&handle, flags) }
        guard let handle else { preconditionFailure("cuEventCreate succeeded and gave no event") }
        self.context = context
        self.handle = handle
    }

    deinit {
        context.release { $0.cuEventDestroy_v2!(handle) }
    }

    /// Puts the event after what `stream` was given so far. It may be recorded anew.
    /// - Throws: `callFailed`.
    public func record(on stream: Stream) throws(CUDAError) {
        try context.call("cuEventRecord") { $0.cuEventRecord!(handle, stream.handle) }
    }

    /// Waits until the GPU has come to the event.
    /// - Throws: `callFailed`, also for work that failed since the last wait.
    public func synchronize() throws(CUDAError) {
        try context.call("cuEventSynchronize") { $0.cuEventSynchronize!(handle) }
    }

    /// The GPU's time from `start` to this event, to about half a microsecond. The GPU must have come to both.
    /// - Throws: `callFailed`, also for an event that was not recorded, or made without timing.
    public func milliseconds(since start: Event) throws(CUDAError) -> Double {
        var milliseconds: Float = 0
        try context.call("cuEventElapsedTime") { $0.cuEventElapsedTime!(&milliseconds, start.handle, handle) }
        return Double(milliseconds)
    }
}
