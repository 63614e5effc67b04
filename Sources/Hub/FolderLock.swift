#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// A lock between processes, held on a file. The system lets go of it when the process ends, however it ends.
///
/// The file itself stays: removing it would let one process lock the old file and another the new one.
struct FolderLock {
    private let descriptor: Int32

    /// The lock, if nobody else holds it.
    static func acquireIfFree(_ path: String) throws(HubError) -> FolderLock? {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw FileSystem.failure("open", path) }
        while flock(descriptor, LOCK_EX | LOCK_NB) != 0 {
            if errno == EINTR { continue }
            let isHeld = errno == EWOULDBLOCK
            let error = FileSystem.failure("lock", path)
            close(descriptor)
            guard isHeld else { throw error }
            return nil
        }
        return FolderLock(descriptor: descriptor)
    }

    /// The lock, as soon as nobody else holds it; `waiting` is called while somebody does.
    static func acquire(_ path: String, waiting: () -> Void) async throws(HubError) -> FolderLock {
        while true {
            if let lock = try acquireIfFree(path) { return lock }
            waiting()
            // Asking again can be cancelled; a blocking lock could not.
            try? await Task.sleep(for: .milliseconds(100))
            if Task.isCancelled { throw .cancelled }
        }
    }

    func release() { close(descriptor) }
}
