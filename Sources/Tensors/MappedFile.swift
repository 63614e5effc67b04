#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A failed call to the operating system on a file: what was tried, on which path, and what the system said.
public struct FileError: Error, Equatable, CustomStringConvertible {
    public let operation: String
    public let path: String
    public let reason: String

    public init(operation: String, path: String, reason: String) {
        self.operation = operation
        self.path = path
        self.reason = reason
    }

    /// The failure that `errno` describes right now.
    public static func current(_ operation: String, _ path: String) -> FileError {
        FileError(operation: operation, path: path, reason: String(cString: strerror(errno)))
    }

    public var description: String { "cannot \(operation) \(path): \(reason)" }
}

/// A file mapped read-only into memory: its pages are read from disk when they are first touched.
public final class MappedFile: @unchecked Sendable {
    public let path: String
    private let base: UnsafeRawPointer?
    public let byteCount: Int

    /// Maps the whole file at `path`.
    /// - Throws: `FileError` if it cannot be opened, is no regular file, or cannot be mapped. An empty file is mapped
    ///   as no bytes.
    public init(path: String) throws(FileError) {
        // A named pipe would be waited for; regular files do not know the difference.
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { throw .current("open", path) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .current("examine", path) }
        guard status.st_mode & S_IFMT == S_IFREG else {
            throw FileError(operation: "open", path: path, reason: "it is not a regular file")
        }
        self.path = path
        byteCount = Int(status.st_size)
        guard byteCount > 0 else {
            base = nil
            return
        }
        guard let address = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0), address != MAP_FAILED else {
            throw .current("map", path)
        }
        base = UnsafeRawPointer(address)
    }

    deinit {
        if let base { munmap(UnsafeMutableRawPointer(mutating: base), byteCount) }
    }

    /// The file's bytes; they keep the mapping alive.
    public var bytes: Storage<UInt8> {
        let start = base ?? UnsafeRawPointer(bitPattern: 64)!  // never read: there are no bytes behind it
        return Storage(pointer: start.assumingMemoryBound(to: UInt8.self), count: byteCount, owner: self)
    }

    /// Asks the system to begin to read the pages of `range`, and does not wait for them.
    public func prefetch(_ range: Range<Int>) { advise(range, MADV_WILLNEED) }

    /// Calls `body`, which reads `parts` of `range`, and has the system read little else for it: left to itself that
    /// reads up to megabytes around a page that is touched. Uses of the same range must not overlap in time.
    public func reading<Result, Failure>(
        _ parts: [Range<Int>], of range: Range<Int>, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        advise(range, MADV_RANDOM)
        defer { advise(range, MADV_NORMAL) }
        // All at once: disks are the faster the more they are asked for.
        for part in parts { prefetch(part) }
        return try body()
    }

    /// Tells the system something about all pages that `range` is in.
    private func advise(_ range: Range<Int>, _ advice: Int32) {
        guard let base else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let first = max(range.lowerBound, 0) / page * page
        let end = min(range.upperBound, byteCount)
        guard first < end else { return }
        madvise(UnsafeMutableRawPointer(mutating: base + first), end - first, advice)
    }

    /// Tells the system that the pages inside `range` will not be needed again soon, so that they stop counting as
    /// memory of this process. They are read anew when touched.
    public func release(_ range: Range<Int>) {
        guard let base else { return }
        let page = Int(sysconf(Int32(_SC_PAGESIZE)))
        let first = (max(range.lowerBound, 0) + page - 1) / page * page
        let end = min(range.upperBound, byteCount) / page * page
        guard first < end else { return }
        madvise(UnsafeMutableRawPointer(mutating: base + first), end - first, MADV_DONTNEED)
    }
}
