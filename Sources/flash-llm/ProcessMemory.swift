#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

enum ProcessMemory {
    /// The most memory this process has had resident, in bytes. Mapped weights count as far as they were touched.
    static var peakByteCount: Int {
        var usage = rusage()
        guard getrusage(0, &usage) == 0 else { return 0 }
        #if os(Linux)
        return usage.ru_maxrss * 1024
        #else
        return usage.ru_maxrss
        #endif
    }
}
