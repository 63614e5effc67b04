#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Memory for many buffers that live as long as each other, such as a model's weights.
///
/// A matrix of less than 2 MiB that is allocated by itself lies in 4 KiB pages, at whose ends every hardware prefetcher
/// stops. Here such buffers lie behind each other in slabs that ask for huge pages. Not for use by several threads at
/// once.
public final class Arena {
    private static let slabByteCount = 64 << 20
    private static let hugePage = 2 << 20

    /// One allocation; freed when the last buffer in it is.
    fileprivate final class Slab {
        let base: UnsafeMutableRawPointer

        init(byteCount: Int) {
            base = .allocate(byteCount: byteCount, alignment: Arena.hugePage)
            #if os(Linux)
            _ = madvise(base, byteCount, MADV_HUGEPAGE)
            #endif
        }

        deinit { base.deallocate() }
    }

    private var slab: Slab?
    private var usedByteCount = 0

    public init() {}

    /// Memory for `count` bytes, not initialised, aligned to a cache line.
    public func buffer(byteCount: Int) -> AlignedBuffer<UInt8> {
        precondition(byteCount >= 0)
        // A large buffer gets huge pages by itself, and would leave a slab half empty.
        guard byteCount <= Self.slabByteCount / 8 else { return AlignedBuffer(uninitializedCount: byteCount) }
        let alignment = AlignedBuffer<UInt8>.alignment
        let needed = (byteCount + alignment - 1) / alignment * alignment
        let current: Slab
        if let slab, usedByteCount + needed <= Self.slabByteCount {
            current = slab
        } else {
            current = Slab(byteCount: Self.slabByteCount)
            usedByteCount = 0
            slab = current
        }
        defer { usedByteCount += needed }
        return AlignedBuffer(base: current.base + usedByteCount, count: byteCount, owner: current)
    }
}
