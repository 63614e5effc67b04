import CCUDA
public import CUDA

/// Measures how fast a GPU reads its memory: the ceiling of every product that waits for weights.
public final class ReadBandwidth {
    private let kernel: Kernel
    private let memory: DeviceBuffer
    private let sums: DeviceBuffer
    private let blocks: Int
    private let stream: Stream

    /// - Parameter byteCount: what is read: far beyond the second-level cache; rounded up to whole turns of a block.
    /// - Throws: `CUDAError`.
    public init(byteCount: Int, library: KernelLibrary, on stream: Stream) throws(CUDAError) {
        kernel = try library.kernel(named: "bandwidth_read", in: "bandwidth.cu")
        let threads = Int(FLASH_GPU_BANDWIDTH_THREADS)
        let turnBytes = 16 * Int(FLASH_GPU_BANDWIDTH_VECTORS)
        let turns = max(1, (byteCount + turnBytes - 1) / turnBytes)
        memory = try DeviceBuffer(byteCount: turns * turnBytes, in: stream.context)
        try memory.enqueueFill(1, on: stream)
        // As many as run at once: each goes over the memory in steps of all.
        let concurrent = try kernel.blocksPerMultiprocessor(threads: threads)
        blocks = min(turns, max(1, concurrent) * stream.context.device.multiprocessors)
        sums = try DeviceBuffer(byteCount: blocks * threads * 4, in: stream.context)
        self.stream = stream
    }

    public var byteCount: Int { memory.byteCount }

    /// Gives one reading of the whole memory to the stream.
    /// - Throws: `CUDAError`.
    public func enqueue() throws(CUDAError) {
        let parameters = flash_gpu_bandwidth(
            input: memory.address, output: sums.address, vectors: UInt64(memory.byteCount / 16))
        try kernel.launch(
            grid: LaunchSize(blocks), block: LaunchSize(Int(FLASH_GPU_BANDWIDTH_THREADS)), parameters: parameters,
            on: stream)
    }

    /// Whether the last reading has seen every byte.
    /// - Throws: `CUDAError`.
    public func isComplete() throws(CUDAError) -> Bool {
        let found = try sums.read(UInt32.self, count: sums.byteCount / 4, on: stream).reduce(0, &+)
        return found == UInt32(truncatingIfNeeded: memory.byteCount / 4) &* 0x0101_0101
    }
}
