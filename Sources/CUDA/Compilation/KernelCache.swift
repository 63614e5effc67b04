import Crypto

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Compiled kernels on disk, one file each:
///
///     8 bytes     "FLASHGPU"
///     32 bytes    SHA-256 of the rest
///     the rest    the code for the GPU, an ELF file
///
/// A file is written under another name and renamed, so that whoever reads it finds all of it or nothing. What is
/// damaged all the same counts as missing, and is replaced. Nothing here fails: the worst is to compile again.
struct KernelCache: Sendable {
    let folder: String

    private static let magic = Array("FLASHGPU".utf8)
    private static let headerByteCount = magic.count + SHA256.byteCount
    /// Far more than a file of kernels has; what is longer is not ours.
    private static let byteCountLimit = 64 << 20

    /// The code kept as `entry`; nil if there is none, or none that is whole.
    func cubin(of entry: String) -> [UInt8]? {
        guard let bytes = Self.contents(path(of: entry)), bytes.count > Self.headerByteCount,
            bytes.starts(with: Self.magic)
        else { return nil }
        let cubin = bytes[Self.headerByteCount...]
        guard SHA256.hash(data: cubin).elementsEqual(bytes[Self.magic.count..<Self.headerByteCount]) else { return nil }
        return Array(cubin)
    }

    func keep(_ cubin: [UInt8], as entry: String) {
        Self.makeFolders(folder)
        // Its own name for each writer, so that two never write to one file.
        let temporary = "\(folder)/.\(getpid())-\(UInt64.random(in: 0 ... .max))"
        let isWritten = Self.write([Self.magic, Array(SHA256.hash(data: cubin)), cubin], to: temporary)
        guard isWritten, rename(temporary, path(of: entry)) == 0 else {
            unlink(temporary)
            return
        }
    }

    private func path(of entry: String) -> String { "\(folder)/\(entry).cubin" }

    private static func makeFolders(_ path: String) {
        var prefix = path.hasPrefix("/") ? "" : "."
        for component in path.split(separator: "/") {
            prefix += "/" + component
            mkdir(prefix, 0o755)
        }
    }

    static func contents(_ path: String) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT == S_IFREG,
            (1...byteCountLimit).contains(Int(status.st_size))
        else { return nil }
        let size = Int(status.st_size)
        let bytes = [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = 0
            while count < size {
                let received = read(descriptor, buffer.baseAddress! + count, size - count)
                if received < 0, errno == EINTR { continue }
                guard received > 0 else { break }
                count += received
            }
        }
        return bytes.count == size ? bytes : nil
    }

    private static func write(_ parts: [[UInt8]], to path: String) -> Bool {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { return false }
        for part in parts {
            var written = 0
            while written < part.count {
                let count = part.withUnsafeBytes { Self.write(descriptor, $0, from: written) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else {
                    close(descriptor)
                    return false
                }
                written += count
            }
        }
        return close(descriptor) == 0
    }

    private static func write(_ descriptor: Int32, _ bytes: UnsafeRawBufferPointer, from start: Int) -> Int {
        systemWrite(descriptor, bytes.baseAddress! + start, bytes.count - start)
    }
}

/// The system's `write`, whose name the cache's own hides inside the type.
private func systemWrite(_ descriptor: Int32, _ bytes: UnsafeRawPointer, _ count: Int) -> Int {
    write(descriptor, bytes, count)
}
