#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Writes a file from its beginning while ranges of it arrive in any order, and hashes it on the way.
///
/// What is on disk is always a beginning of the file. Two processes that write the same one, on file systems where
/// locks lock nobody out, write the same bytes to the same places.
actor BlobWriter {
    private let descriptor: Int32
    private let path: String
    private var schedule: RangeSchedule<[UInt8]>
    private var hasher: ContentHasher
    /// Bytes that a pull before this one has left.
    let keptByteCount: Int

    /// Opens or makes the file at `path`. What it holds counts as its beginning, if it is not longer than it may be.
    init(
        path: String, file: RepositoryFile, rangeByteCount: Int, windowByteCount: Int
    ) throws(HubError) {
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o644)
        guard descriptor >= 0 else { throw FileSystem.failure("open", path) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG else {
            close(descriptor)
            throw .fileFailed(operation: "write", path: path, reason: "it is no regular file")
        }
        var kept = Int(status.st_size)
        if kept > file.byteCount {
            guard ftruncate(descriptor, 0) == 0 else {
                let error = FileSystem.failure("shorten", path)
                close(descriptor)
                throw error
            }
            kept = 0
        }
        self.descriptor = descriptor
        self.path = path
        keptByteCount = kept
        hasher = ContentHasher(file.digest, byteCount: file.byteCount)
        schedule = RangeSchedule(
            from: kept, to: file.byteCount, rangeByteCount: rangeByteCount, windowByteCount: windowByteCount)
    }

    deinit { close(descriptor) }

    /// Hashes what was there before. To be called once, before anything is received.
    /// - Parameter progress: called with the bytes of each step.
    func hashKept(progress: @Sendable (Int) -> Void) async throws(HubError) {
        let chunk = UnsafeMutableRawBufferPointer.allocate(byteCount: FileDigest.chunkByteCount, alignment: 64)
        defer { chunk.deallocate() }
        var offset = 0
        while offset < keptByteCount {
            if Task.isCancelled { throw .cancelled }
            let count = pread(descriptor, chunk.baseAddress, min(chunk.count, keptByteCount - offset), off_t(offset))
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw FileSystem.failure("read", path) }
            hasher.update(UnsafeRawBufferPointer(rebasing: chunk[..<count]))
            offset += count
            progress(count)
        }
    }

    func claim() -> Range<Int>? { schedule.claim() }

    /// Gives out all the rest; returns the file's size.
    func claimRest() -> Int {
        schedule.claimRest()
        return schedule.end
    }

    /// Takes bytes of a claimed range, and writes what is next in the file.
    func receive(_ bytes: [UInt8], at offset: Int) throws(HubError) {
        var place = schedule.written
        for piece in schedule.receive(bytes, byteCount: bytes.count, at: offset) {
            try write(piece, at: place)
            piece.withUnsafeBytes { hasher.update($0) }
            place += piece.count
        }
    }

    private func write(_ bytes: [UInt8], at offset: Int) throws(HubError) {
        var done = 0
        while done < bytes.count {
            let count = bytes.withUnsafeBytes {
                pwrite(descriptor, $0.baseAddress! + done, bytes.count - done, off_t(offset + done))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else {
                guard [ENOSPC, EDQUOT].contains(errno) else { throw FileSystem.failure("write", path) }
                throw .diskFull(
                    folder: FileSystem.folder(of: path), neededBytes: schedule.end - offset - done, freeBytes: nil)
            }
            done += count
        }
    }

    /// Makes the whole file reach the disk.
    /// - Returns: the digest that was found.
    /// - Precondition: everything has been received.
    func finish() throws(HubError) -> String {
        precondition(schedule.isComplete, "\(path) lacks bytes from \(schedule.written)")
        guard fsync(descriptor) == 0 else { throw FileSystem.failure("write", path) }
        return hasher.finish()
    }
}
