#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writable memory, aligned to a cache line, that frees itself.
///
/// Buffers of 2 MiB and more ask for huge pages: streaming through weights in 4 KiB pages costs up to a tenth of the
/// bandwidth in page walks.
public final class AlignedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// 64 bytes: a cache line, and the widest vector register.
    public static var alignment: Int { 64 }

    public let elements: UnsafeMutableBufferPointer<Element>
    private let base: UnsafeMutableRawPointer
    /// Whose memory this is; nil if it is this buffer's own.
    private let owner: AnyObject?

    /// Memory for `count` elements, not initialised.
    public init(uninitializedCount count: Int) {
        precondition(count >= 0)
        let (byteCount, overflow) = count.multipliedReportingOverflow(by: MemoryLayout<Element>.stride)
        precondition(!overflow, "a buffer of \(count) elements overflows")
        owner = nil
        let hugePage = 2 << 20
        let isHuge = byteCount >= hugePage
        base = .allocate(byteCount: max(byteCount, 1), alignment: isHuge ? hugePage : Self.alignment)
        #if os(Linux)
        if isHuge { _ = madvise(base, byteCount, MADV_HUGEPAGE) }
        #endif
        elements = UnsafeMutableBufferPointer(start: base.bindMemory(to: Element.self, capacity: count), count: count)
    }

    /// Memory of `owner`, aligned for `Element`, that nobody else uses.
    init(base: UnsafeMutableRawPointer, count: Int, owner: AnyObject) {
        self.base = base
        self.owner = owner
        elements = UnsafeMutableBufferPointer(start: base.bindMemory(to: Element.self, capacity: count), count: count)
    }

    /// Memory for `count` elements, each set to `value`.
    public convenience init(repeating value: Element, count: Int) {
        self.init(uninitializedCount: count)
        elements.initialize(repeating: value)
    }

    deinit {
        if owner == nil { base.deallocate() }
    }

    public var count: Int { elements.count }

    public var pointer: UnsafeMutablePointer<Element> {
        base.assumingMemoryBound(to: Element.self)
    }

    /// This memory as immutable storage. Nobody may write to the buffer afterwards.
    public func frozen() -> Storage<Element> {
        Storage(pointer: UnsafePointer(pointer), count: count, owner: self)
    }
}
