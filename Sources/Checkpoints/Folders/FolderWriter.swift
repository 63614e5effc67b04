#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import OrderedJSON
import Tensors

/// Creates a folder whose content appears all at once: it is prepared in a hidden folder beside the target and renamed
/// by ``finish()``. A writer that never gets there, after an error or a cancellation, leaves nothing behind.
public final class FolderWriter {
    /// Where the folder will be.
    public let path: String
    /// Where its files are being prepared: what writes a file itself, such as ``SafetensorsWriter``, puts it here.
    public let partialPath: String
    private let overwriting: Bool
    private var isOpen = true

    /// - Parameters:
    ///   - path: the folder to be; its parent must exist. A symbolic link to a folder stands for that folder.
    ///   - overwriting: whether an existing model folder may be replaced. It must have a `config.json`: a folder that
    ///     is no model is never deleted.
    /// - Throws: `CheckpointError` if the target is taken or the system refuses.
    public init(path: String, overwriting: Bool = false) throws(CheckpointError) {
        self.path = FolderWriter.resolved(path)
        self.overwriting = overwriting
        try FolderWriter.checkTarget(self.path, overwriting: overwriting)
        (partialPath, _) = try FileSystem.createPartial(of: self.path) { mkdir($0, 0o777) }
    }

    deinit { abandon() }

    /// Removes what was prepared; the target stays as it was. Nothing to do after ``finish()``.
    public func abandon() {
        guard isOpen else { return }
        isOpen = false
        FileSystem.remove(partialPath)
    }

    /// Where the file `name` of the folder is being prepared.
    /// - Precondition: `name` is a plain file name.
    public func partialPath(of name: String) -> String {
        precondition(!name.isEmpty && name != "." && name != ".." && !name.contains("/"), "\(name) is no file name")
        return partialPath + "/" + name
    }

    /// Writes `text` as the file `name`.
    public func write(_ text: String, to name: String) throws(CheckpointError) {
        let file = try PartialFile(path: partialPath(of: name))
        try file.append(Array(text.utf8))
        try file.finish()
    }

    /// Copies the file at `source`, under its own name by default.
    public func copy(_ source: String, as name: String? = nil) throws(CheckpointError) {
        let mapped = try FileSystem.map(source)
        defer { withExtendedLifetime(mapped) {} }  // a buffer does not keep the mapping alive
        let file = try PartialFile(path: partialPath(of: name ?? FileSystem.split(source).name))
        try file.append(UnsafeRawBufferPointer(mapped.bytes.buffer))
        try file.finish()
    }

    /// Copies a folder's tokenizer files.
    public func copy(_ files: TokenizerFiles) throws(CheckpointError) {
        for path in files.all { try copy(path) }
    }

    /// Puts the folder in its place.
    ///
    /// A model that is replaced is moved aside first and deleted last, so that at every moment one of the two is whole.
    /// - Throws: `CheckpointError` if the system refuses, or the target was taken meanwhile; up to the rename the
    ///   target stays what it was before and what was prepared is removed.
    public func finish() throws(CheckpointError) {
        precondition(isOpen, "the folder is finished or abandoned")
        defer { abandon() }
        try FolderWriter.checkTarget(path, overwriting: overwriting)
        try FileSystem.synchronize(folder: partialPath)
        let (parent, name) = FileSystem.split(path)
        var replaced: String?
        if FileSystem.exists(path), rmdir(path) != 0 {
            let aside = "\(parent)/.\(name).replaced-\(getpid())"
            try FileSystem.move(path, to: aside)
            replaced = aside
        }
        do throws(CheckpointError) {
            try FileSystem.move(partialPath, to: path)
        } catch {
            if let replaced { try FileSystem.move(replaced, to: path) }
            throw error
        }
        isOpen = false
        try FileSystem.synchronize(folder: parent)
        if let replaced { FileSystem.remove(replaced) }
    }

    /// `path` with symbolic links followed, if it exists.
    private static func resolved(_ path: String) -> String {
        guard let resolved = realpath(path, nil) else { return path }
        defer { free(resolved) }
        return String(cString: resolved)
    }

    private static func checkTarget(_ path: String, overwriting: Bool) throws(CheckpointError) {
        func conflict(_ expected: String, _ found: String) -> CheckpointError {
            CheckpointError(.conflict, path: path, subject: "the output folder", expected: expected, found: found)
        }
        let name = FileSystem.split(path).name
        guard !name.isEmpty, name != ".", name != ".." else {
            throw conflict("the name of a new folder", path.quoted)
        }
        guard FileSystem.exists(path) else { return }
        guard try FileSystem.kind(of: path) == .folder else { throw conflict("a new or empty folder", "a file") }
        let entries = try FileSystem.entries(of: path)
        guard !entries.isEmpty else { return }
        guard overwriting else {
            throw conflict("a new or empty folder unless overwriting is asked for", "\(entries.count) files in it")
        }
        guard entries.contains(ModelFolder.configurationName) else {
            throw conflict(
                "a model folder to overwrite", "files but no \(ModelFolder.configurationName), which are left alone")
        }
    }
}
