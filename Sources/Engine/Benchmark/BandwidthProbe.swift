import CKernels
public import Tensors

/// Measures how fast memory can be read: the ceiling of every decoding step.
public struct BandwidthProbe {
    /// Far beyond every cache.
    public static let defaultByteCount = 512 << 20

    private let memory: AlignedBuffer<UInt8>

    public init(byteCount: Int = Self.defaultByteCount) {
        memory = AlignedBuffer(repeating: 1, count: byteCount)
    }

    /// Bytes per second that all threads of `pool` read together, once through the memory.
    public func measure(_ pool: WorkerPool) -> Double {
        let pieces = pool.threadCount * 8
        let size = memory.count / pieces
        let clock = ContinuousClock()
        let start = clock.now
        pool.forEachChunk(pieces) { piece, _ in
            // The checksum keeps the reads; every byte is 1, so it is known.
            let sum = flash_read_bandwidth(memory.pointer + piece * size, Int64(size))
            precondition(sum != 0)
        }
        return Double(pieces * size) / ((clock.now - start) / .seconds(1))
    }
}
