import Synchronization
import Tensors

/// The groups that bands of a matrix are encoded to, behind each other, and where those of each step begin.
struct BandGroups {
    let words: Storage<UInt32>
    /// `[bands * steps + 1]`
    let firstGroups: Storage<UInt32>

    /// Encodes bands side by side.
    /// - Parameters:
    ///   - encode: returns a band's groups, `groupWords` words each, and writes how many each of its steps has; gets
    ///     the number of the thread, of `threadCount(pool)`.
    /// - Throws: `SparseError.tooManyStoredElements` beyond 2^32 groups.
    init<Element: Sendable & BitwiseCopyable>(
        bands: Int, steps: Int, groupWords: Int, pool: WorkerPool?,
        encode: (_ band: Int, _ thread: Int, _ groups: UnsafeMutablePointer<UInt32>) -> [Element]
    ) throws(SparseError) {
        let groups = AlignedBuffer<UInt32>(uninitializedCount: bands * steps)
        let encoded = Mutex([[Element]](repeating: [], count: bands))
        forEachIndex(bands, pool) { band, thread in
            let elements = encode(band, thread, groups.pointer + band * steps)
            encoded.withLock { $0[band] = elements }
        }
        let firstGroups = try runningSum(groups)
        let words = AlignedBuffer<UInt32>(
            uninitializedCount: Int(firstGroups.pointer[firstGroups.count - 1]) * groupWords)
        encoded.withLock { encoded in
            for band in 0..<bands {
                let first = words.pointer + Int(firstGroups.pointer[band * steps]) * groupWords
                encoded[band].withUnsafeBytes { bytes in
                    if let base = bytes.baseAddress {
                        UnsafeMutableRawPointer(first).copyMemory(from: base, byteCount: bytes.count)
                    }
                }
                encoded[band] = []
            }
        }
        self.words = words.frozen()
        self.firstGroups = firstGroups.frozen()
    }

    static func threadCount(_ pool: WorkerPool?) -> Int { pool?.threadCount ?? 1 }
}
