#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

extension FolderWriter {
    /// Checks that the disk has room for a folder of so many bytes, so that a long piece of work does not end with a
    /// full disk. Where the system does not say, there is room.
    /// - Throws: `CheckpointError` with the bytes that are needed and those that are free.
    public func requireSpace(byteCount: Int) throws(CheckpointError) {
        guard let free = FileSystem.freeByteCount(of: partialPath), free < byteCount else { return }
        throw CheckpointError(
            .missing, path: path, subject: "the disk", expected: "room for \(byteCount) bytes",
            found: "\(free) bytes free")
    }
}

extension FileSystem {
    /// Bytes that this user may still write to the file system of the folder at `path`; nil if it does not say.
    static func freeByteCount(of path: String) -> Int? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? Int.max : Int(clamping: bytes)
    }
}
