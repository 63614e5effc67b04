#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// `write` by a name that no function of ours hides.
private let systemWrite = write(_:_:_:)

/// The few file operations that pulling needs, with errors that name operation, path and reason.
enum FileSystem {
    static func failure(_ operation: String, _ path: String) -> HubError {
        HubError.fileFailed(operation: operation, path: path, reason: message(errno))
    }

    /// The system's words for an error number.
    static func message(_ number: Int32) -> String { String(cString: strerror(number)) }

    /// Size of the regular file at `path`, following links; nil if there is none.
    static func byteCount(of path: String) -> Int? {
        var status = stat()
        guard stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return nil }
        return Int(status.st_size)
    }

    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    static func isExecutableFile(_ path: String) -> Bool {
        byteCount(of: path) != nil && access(path, X_OK) == 0
    }

    /// Makes the folder at the absolute `path` and all above it that are missing.
    static func makeFolders(_ path: String) throws(HubError) {
        var prefix = ""
        for component in path.split(separator: "/") {
            prefix += "/" + component
            if mkdir(prefix, 0o755) == 0 { continue }
            // A read-only file system says EROFS even of folders that exist, so ask before complaining.
            let reason = errno
            var status = stat()
            guard stat(prefix, &status) != 0 || status.st_mode & S_IFMT != S_IFDIR else { continue }
            errno = reason == EEXIST ? ENOTDIR : reason
            throw failure("make the folder", prefix)
        }
    }

    /// Names of the entries of a folder, sorted; empty if it cannot be read.
    static func names(in folder: String) -> [String] {
        ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
    }

    /// Removes whatever is at `path`, if anything is.
    static func removeTree(_ path: String) {
        try? FileManager.default.removeItem(atPath: path)
    }

    /// Makes the content of a file reach the disk, so that a name can be given to it that promises completeness.
    static func synchronise(_ path: String) throws(HubError) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw failure("write", path) }
    }

    /// Moves a file within one file system; what was at `target` is replaced in one step.
    static func move(_ source: String, to target: String) throws(HubError) {
        guard rename(source, target) == 0 else { throw failure("move the new file to", target) }
    }

    /// Bytes that this user may still write to the file system of `folder`; nil if it does not say.
    static func freeBytes(in folder: String) -> Int? {
        var status = statvfs()
        guard statvfs(folder, &status) == 0 else { return nil }
        let (bytes, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? Int.max : Int(clamping: bytes)
    }

    /// Size of the largest file at or below `folder`, down to `depth` folders.
    ///
    /// This is how a download by another program is watched: its biggest file is the one that grows.
    static func largestByteCount(below folder: String, depth: Int = 3) -> Int {
        var largest = 0
        for name in names(in: folder) {
            let path = folder + "/" + name
            if let size = byteCount(of: path) {
                largest = max(largest, size)
            } else if depth > 0 {
                largest = max(largest, largestByteCount(below: path, depth: depth - 1))
            }
        }
        return largest
    }

    /// The last `limit` bytes of a text file, whatever its encoding; empty if it cannot be read.
    static func tail(of path: String, limit: Int) -> String {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return "" }
        defer { close(descriptor) }
        let size = lseek(descriptor, 0, SEEK_END)
        guard size > 0, lseek(descriptor, max(0, size - off_t(limit)), SEEK_SET) >= 0 else { return "" }
        let bytes = [UInt8](unsafeUninitializedCapacity: limit) { buffer, count in
            count = 0
            while count < limit {
                let received = read(descriptor, buffer.baseAddress! + count, limit - count)
                guard received > 0 else { break }
                count += received
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// Everything before the last component of an absolute path.
    static func folder(of path: String) -> String {
        path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
    }

    /// The content of a regular file of at most `limit` bytes; nil if there is none, or it is larger.
    static func smallFile(_ path: String, limit: Int) -> [UInt8]? {
        guard let count = byteCount(of: path), count <= limit, let data = FileManager.default.contents(atPath: path),
            data.count <= limit
        else { return nil }
        return [UInt8](data)
    }

    /// The text of a file of a few lines; nil if there is none, or it is larger.
    static func smallText(_ path: String) -> String? {
        smallFile(path, limit: 64 << 10).map { String(decoding: $0, as: UTF8.self) }
    }

    /// Writes a small file in one step: others see the old content or the new one.
    static func write(_ text: String, to path: String) throws(HubError) {
        let temporary = temporaryPath(beside: path)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw failure("write", temporary) }
        var text = text
        let isWritten = text.withUTF8 { systemWrite(descriptor, $0.baseAddress, $0.count) == $0.count }
        let error = failure("write", temporary)
        close(descriptor)
        do throws(HubError) {
            guard isWritten else { throw error }
            try move(temporary, to: path)
        } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Makes a symbolic link in one step: what was at `path` is replaced, and never missing.
    static func link(_ path: String, to target: String) throws(HubError) {
        let temporary = temporaryPath(beside: path)
        guard symlink(target, temporary) == 0 else { throw failure("make the link", path) }
        do { try move(temporary, to: path) } catch {
            unlink(temporary)
            throw error
        }
    }

    /// Where the symbolic link at `path` points; nil if it is none.
    static func linkTarget(of path: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: path)
    }

    private static func temporaryPath(beside path: String) -> String {
        "\(path).\(String(UInt32.random(in: .min ... .max), radix: 16)).tmp"
    }

    /// `path` with the current folder in front of it if it is relative: it then names the same place for a child
    /// process that works elsewhere.
    static func absolute(_ path: String) -> String {
        path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    }
}
