import CCUDA

/// Work for the GPU, recorded once and launched many times with one call: some 2 µs for all its kernels together
/// instead of as much for each.
///
/// Addresses, sizes and parameters are those of the recording.
public final class Graph: @unchecked Sendable {
    public let context: Context
    private let handle: CUgraphExec
    /// Buffers and kernels that the recorded work uses.
    private let kept: [AnyObject]

    /// Records what `body` gives to `stream`, without doing it.
    /// - Parameters:
    ///   - keeping: what the recorded work uses and must live as long as the graph: buffers, kernels.
    ///   - body: must not wait for the stream nor allocate.
    /// - Throws: what `body` throws; `callFailed`.
    public init(
        capturing stream: Stream, keeping: [AnyObject] = [], _ body: () throws(CUDAError) -> Void
    ) throws(CUDAError) {
        context = stream.context
        kept = keeping
        handle = try Self.capture(stream, body)
    }

    deinit {
        context.release { $0.cuGraphExecDestroy!(handle) }
    }

    /// Gives all the recorded work to `stream`.
    /// - Throws: `callFailed`.
    public func launch(on stream: Stream) throws(CUDAError) {
        try context.call("cuGraphLaunch") { $0.cuGraphLaunch!(handle, stream.handle) }
    }

    private static func capture(
        _ stream: Stream, _ body: () throws(CUDAError) -> Void
    ) throws(CUDAError) -> CUgraphExec {
        let context = stream.context
        try context.call("cuStreamBeginCapture_v2") {
            $0.cuStreamBeginCapture_v2!(stream.handle, Int32(FLASH_CUDA_CAPTURE_THREAD_LOCAL))
        }
        var graph: CUgraph?
        // A stream that stays in capture takes no more work, so it ends whatever happened; the body's error goes first.
        defer { if let graph { context.release { $0.cuGraphDestroy!(graph) } } }
        do {
            try body()
        } catch {
            context.release { $0.cuStreamEndCapture!(stream.handle, &graph) }
            throw error
        }
        try context.call("cuStreamEndCapture") { $0.cuStreamEndCapture!(stream.handle, &graph) }
        var executable: CUgraphExec?
        try context.call("cuGraphInstantiateWithFlags") { $0.cuGraphInstantiateWithFlags!(&executable, graph, 0) }
        guard let executable else { preconditionFailure("cuGraphInstantiateWithFlags succeeded and gave no graph") }
        return executable
    }
}
