#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// SHA-256 of files, read piece by piece.
enum FileDigest {
    /// 1 MiB: large enough that the system call is free, small enough to stop within a millisecond or so.
    static let chunkByteCount = 1 << 20

    /// Checks size, then SHA-256.
    /// - Parameters:
    ///   - what: names the file in errors.
    ///   - progress: called with the number of bytes hashed so far.
    /// - Throws: `wrongSize`, `wrongHash`, `fileFailed`; `cancelled` if the task is.
    static func verify(
        _ path: String, is expected: FileFingerprint, what: String, progress: (Int) -> Void
    ) async throws(HubError) {
        guard let size = FileSystem.byteCount(of: path) else {
            throw .fileFailed(operation: "read", path: path, reason: "it is missing or not a regular file")
        }
        guard size == expected.byteCount else {
            throw .wrongSize(what: what, expectedBytes: expected.byteCount, foundBytes: size)
        }
        let found = try await sha256(of: path, progress: progress)
        guard found == expected.sha256 else {
            throw .wrongHash(what: what, expected: expected.sha256, found: found)
        }
    }

    /// The SHA-256 of the file at `path` in lower-case hexadecimal digits.
    static func sha256(of path: String, progress: (Int) -> Void = { _ in }) async throws(HubError) -> String {
        var hashed = 0
        return try await hash(path, with: ContentHasher(.sha256(""), byteCount: 0)) { count in
            hashed += count
            progress(hashed)
        }
    }

    /// What `hasher` makes of the file at `path`.
    /// - Parameter progress: called with the bytes of each step.
    static func hash(
        _ path: String, with hasher: ContentHasher, progress: (Int) -> Void
    ) async throws(HubError) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw FileSystem.failure("open", path) }
        defer { close(descriptor) }
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkByteCount, alignment: 64)
        defer { chunk.deallocate() }
        var hasher = hasher
        while true {
            if Task.isCancelled { throw .cancelled }
            let count = read(descriptor, chunk.baseAddress, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw FileSystem.failure("read", path) }
            guard count > 0 else { return hasher.finish() }
            hasher.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
            progress(count)
            await Task.yield()
        }
    }
}
