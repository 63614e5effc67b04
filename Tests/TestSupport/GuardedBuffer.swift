#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Elements that end exactly where an unreadable page begins, so that code which reads or writes behind them crashes
/// the test rather than getting away with it. In front of them lies readable memory.
public final class GuardedBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    public let elements: UnsafeMutableBufferPointer<Element>
    private let base: UnsafeMutableRawPointer
    private let byteCount: Int

    public init(_ values: some Collection<Element>) {
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let bytes = values.count * MemoryLayout<Element>.stride
        let readable = (bytes + page - 1) / page * page
        byteCount = readable + page
        base = mmap(nil, byteCount, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)
        precondition(base != MAP_FAILED && mprotect(base + readable, page, PROT_NONE) == 0, "cannot map a guarded page")
        let start = (base + readable - bytes).bindMemory(to: Element.self, capacity: values.count)
        elements = UnsafeMutableBufferPointer(start: start, count: values.count)
        _ = elements.initialize(fromContentsOf: values)
    }

    deinit { munmap(base, byteCount) }

    public var pointer: UnsafeMutablePointer<Element> { elements.baseAddress! }
}
