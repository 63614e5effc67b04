#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import CFiles
import OrderedJSON
import Tensors

/// The few calls to the operating system that reading and writing checkpoints needs.
enum FileSystem {
    enum Kind { case file, folder }

    /// What is at `path`, symbolic links followed.
    static func kind(of path: String) throws(CheckpointError) -> Kind {
        var status = stat()
        guard stat(path, &status) == 0 else { throw failure("open", path) }
        switch status.st_mode & S_IFMT {
        case S_IFDIR: return .folder
        case S_IFREG: return .file
        default:
            throw CheckpointError(
                .unsupported, path: path, subject: "what is there", expected: "a file or a folder",
                found: "something else")
        }
    }

    /// Whether anything, be it a dangling symbolic link, is at `path`.
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0
    }

    /// The names in the folder at `path`, sorted.
    static func entries(of path: String) throws(CheckpointError) -> [String] {
        guard let folder = opendir(path) else { throw failure("list", path) }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { field in
                field.withMemoryRebound(to: CChar.self, capacity: MemoryLayout.size(ofValue: field.pointee)) {
                    String(cString: $0)
                }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names.sorted()
    }

    /// Parses the JSON file at `path`, which must hold an object and at most `limit` bytes.
    static func readObject(path: String, limit: Int) throws(CheckpointError) -> JSON {
        let file = try map(path)
        defer { withExtendedLifetime(file) {} }  // a buffer does not keep the mapping alive
        func damaged(_ expected: String, _ found: String) -> CheckpointError {
            CheckpointError(.damaged, path: path, subject: "the file", expected: expected, found: found)
        }
        guard file.byteCount <= limit else { throw damaged("at most \(limit) bytes", "\(file.byteCount)") }
        guard file.byteCount > 0 else { throw damaged("a JSON object", "no bytes") }
        let value: JSON
        do throws(JSONError) {
            value = try JSON(parsing: UnsafeRawBufferPointer(file.bytes.buffer))
        } catch {
            throw damaged("a JSON object", error.description)
        }
        guard value.objectValue != nil else { throw damaged("a JSON object", value.kindName) }
        return value
    }

    static func map(_ path: String) throws(CheckpointError) -> MappedFile {
        do throws(FileError) { return try MappedFile(path: path) } catch { throw CheckpointError(error) }
    }

    /// Writes all of `bytes` to an open file.
    static func write(
        _ bytes: UnsafeRawBufferPointer, to descriptor: Int32, path: String
    ) throws(CheckpointError) {
        var rest = bytes
        while let address = rest.baseAddress, rest.count > 0 {
            // Systems write at most about 2 GiB at once.
            let written = Self.writeCall(descriptor, address, min(rest.count, 1 << 30))
            if written < 0 && errno == EINTR { continue }
            guard written > 0 else { throw failure("write", path) }
            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
        }
    }

    private static func writeCall(_ descriptor: Int32, _ address: UnsafeRawPointer, _ count: Int) -> Int {
        #if canImport(Glibc)
        Glibc.write(descriptor, address, count)
        #elseif canImport(Musl)
        Musl.write(descriptor, address, count)
        #else
        Darwin.write(descriptor, address, count)
        #endif
    }

    /// Has the system begin to bring a part of a file to the disk, and does not wait for it, nor for an error, which
    /// `fsync` will report. Elsewhere than on Linux nothing is begun.
    static func startWriting(_ range: Range<Int>, of descriptor: Int32) {
        file_start_writing(descriptor, Int64(range.lowerBound), Int64(range.count))
    }

    /// Asks the disk to hold what was written to the folder at `path`: a rename survives a power cut only then.
    static func synchronize(folder path: String) throws(CheckpointError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw failure("open", path) }
        defer { close(descriptor) }
        // Some file systems cannot synchronise folders; the rename is still atomic there.
        guard fsync(descriptor) == 0 || errno == EINVAL else { throw failure("synchronise", path) }
    }

    static func move(_ path: String, to target: String) throws(CheckpointError) {
        guard rename(path, target) == 0 else { throw failure("rename \(path) to", target) }
    }

    /// Removes the file or folder at `path` with all that is in it, as far as that goes. Links are not followed.
    static func remove(_ path: String) {
        guard unlink(path) != 0 else { return }
        var status = stat()
        guard lstat(path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else { return }
        for name in (try? entries(of: path)) ?? [] { remove(path + "/" + name) }
        rmdir(path)
    }

    /// The folder that holds `path`, and the last part of `path`.
    static func split(_ path: String) -> (folder: String, name: String) {
        let path = withoutTrailingSlashes(path)
        guard let slash = path.lastIndex(of: "/") else { return (".", path) }
        let folder = slash == path.startIndex ? "/" : String(path[..<slash])
        return (folder, String(path[path.index(after: slash)...]))
    }

    /// `path` with symbolic links followed; of what does not exist, the links of the folder that would hold it. Where
    /// neither exists, `path` itself.
    static func resolved(_ path: String) -> String {
        func existing(_ path: String) -> String? {
            guard let resolved = realpath(path, nil) else { return nil }
            defer { free(resolved) }
            return String(cString: resolved)
        }
        if let resolved = existing(path) { return resolved }
        let (folder, name) = split(path)
        guard !["", ".", ".."].contains(name), let parent = existing(folder) else { return path }
        return parent == "/" ? "/" + name : "\(parent)/\(name)"
    }

    /// Whether `path` is `folder` or lies in it; both are resolved.
    static func contains(_ folder: String, _ path: String) -> Bool {
        path == folder || path.hasPrefix(folder.hasSuffix("/") ? folder : folder + "/")
    }

    static func withoutTrailingSlashes(_ path: String) -> String {
        var path = path
        while path.utf8.count > 1 && path.hasSuffix("/") { path.removeLast() }
        return path
    }

    /// A free name beside `path` under which to prepare its content: hidden, and recognisable as a leftover.
    /// `create` makes the file or folder; a negative result is a failure.
    static func createPartial(
        of path: String, _ create: (String) -> Int32
    ) throws(CheckpointError) -> (path: String, result: Int32) {
        let (folder, name) = split(path)
        for attempt in 0..<1000 {
            let suffix = attempt == 0 ? "" : "-\(attempt)"
            let partial = "\(folder)/.\(name).partial-\(getpid())\(suffix)"
            let result = create(partial)
            if result >= 0 { return (partial, result) }
            guard errno == EEXIST else { throw failure("create", path) }
        }
        throw CheckpointError(
            .conflict, path: folder, subject: "the folder", expected: "few leftovers named .\(name).partial-*",
            found: "a thousand")
    }

    static func failure(_ operation: String, _ path: String) -> CheckpointError {
        CheckpointError(.current(operation, path))
    }
}
