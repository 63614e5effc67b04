#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Tensors

/// A file under construction, beside its final place and under another name until ``finish()``; removed if that is
/// never reached.
final class PartialFile {
    /// Where the file will be.
    let path: String
    let partialPath: String
    private var descriptor: Int32
    private(set) var byteCount = 0
    /// The bytes up to here are on their way to the disk.
    private var startedByteCount = 0

    /// Written in pieces, so that the disk writes the first while the next are made: the system itself waits for
    /// seconds or gigabytes before it begins, and ``finish()`` for all of them then. Some requests of a disk each.
    private static let pieceByteCount = 8 << 20

    /// Creates the file that will be at `path`, in a folder that exists.
    init(path: String) throws(CheckpointError) {
        self.path = path
        (partialPath, descriptor) = try FileSystem.createPartial(of: path) { partial in
            open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
        }
    }

    deinit { abandon() }

    private func abandon() {
        guard descriptor >= 0 else { return }
        close(descriptor)
        unlink(partialPath)
        descriptor = -1
    }

    func append(_ bytes: UnsafeRawBufferPointer) throws(CheckpointError) {
        precondition(descriptor >= 0, "the file is finished")
        try bytes.forEachPiece(of: Self.pieceByteCount) { piece throws(CheckpointError) in
            try FileSystem.write(piece, to: descriptor, path: path)
            byteCount += piece.count
            if byteCount - startedByteCount >= Self.pieceByteCount {
                FileSystem.startWriting(startedByteCount..<byteCount, of: descriptor)
                startedByteCount = byteCount
            }
        }
    }

    /// Appends `count` times the byte `value`.
    func append(repeating value: UInt8, count: Int) throws(CheckpointError) {
        let piece = [UInt8](repeating: value, count: min(count, 1 << 16))
        var rest = count
        while rest > 0 {
            let length = min(rest, piece.count)
            try append(piece, count: length)
            rest -= length
        }
    }

    /// Appends the first `count` of `bytes`, all by default.
    func append(_ bytes: [UInt8], count: Int? = nil) throws(CheckpointError) {
        let result = bytes.withUnsafeBytes { buffer -> Result<Void, CheckpointError> in
            do throws(CheckpointError) {
                return .success(try append(UnsafeRawBufferPointer(rebasing: buffer[..<(count ?? buffer.count)])))
            } catch {
                return .failure(error)
            }
        }
        try result.get()
    }

    /// Replaces the first bytes of the file, which are there already.
    func overwriteStart(_ bytes: [UInt8]) throws(CheckpointError) {
        precondition(descriptor >= 0 && bytes.count <= byteCount)
        guard lseek(descriptor, 0, SEEK_SET) == 0 else { throw FileSystem.failure("write", path) }
        let end = byteCount
        try append(bytes)
        byteCount = end
        guard lseek(descriptor, off_t(end), SEEK_SET) == off_t(end) else { throw FileSystem.failure("write", path) }
    }

    /// Waits until the disk holds the content, then gives the file its name, replacing a file that has it.
    func finish() throws(CheckpointError) {
        precondition(descriptor >= 0, "the file is finished")
        guard fsync(descriptor) == 0 else { throw FileSystem.failure("write", path) }
        let closed = close(descriptor)
        descriptor = -1
        do throws(CheckpointError) {
            guard closed == 0 else { throw FileSystem.failure("write", path) }
            try FileSystem.move(partialPath, to: path)
        } catch {
            unlink(partialPath)
            throw error
        }
        try FileSystem.synchronize(folder: FileSystem.split(path).folder)
    }
}
