#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import OrderedJSON
import Synchronization
import Tensors

/// Creates a folder whose content appears all at once: it is prepared in a hidden folder beside the target and renamed
/// by ``finish()``. A writer that never gets there, after an error or a cancellation, leaves nothing behind.
///
/// One thread writes; ``abandon()`` may be called from any other, which is how a program that is interrupted cleans up.
public final class FolderWriter: Sendable {
    /// Where the folder will be.
    public let path: String
    private let overwriting: Bool
    /// Files and folders that the new folder must stay apart from, links followed.
    private let kept: [String]
    private let state = Mutex(State())

    private struct State {
        enum Phase { case unprepared, open, finished, abandoned }
        var phase = Phase.unprepared
        var partialPath = ""
    }

    /// - Parameters:
    ///   - path: the folder to be; its parent must exist. A symbolic link to a folder stands for that folder.
    ///   - overwriting: whether an existing model folder may be replaced. It must have a `config.json`: a folder that
    ///     is no model is never deleted.
    ///   - kept: files and folders that are being read: the new folder may neither replace them nor lie in them.
    ///   - started: called before anything is written, so that a program that is interrupted can ``abandon()`` the
    ///     folder from its first moment.
    /// - Throws: `CheckpointError` if the target is taken or the system refuses.
    public init(
        path: String, overwriting: Bool = false, keeping kept: [String] = [], started: (FolderWriter) -> Void = { _ in }
    ) throws(CheckpointError) {
        self.path = FileSystem.resolved(path)
        self.overwriting = overwriting
        self.kept = kept.map(FileSystem.resolved)
        try checkTarget()
        started(self)
        let target = self.path
        try state.withLock { (state) throws(CheckpointError) in
            guard state.phase == .unprepared else { throw abandoned }
            (state.partialPath, _) = try FileSystem.createPartial(of: target) { mkdir($0, 0o777) }
            state.phase = .open
        }
    }

    deinit { abandon() }

    /// Where the folder's files are being prepared: what writes a file itself, such as ``SafetensorsWriter``, puts it
    /// here.
    public var partialPath: String { state.withLock { $0.partialPath } }

    /// Removes what was prepared; the target stays as it was. Nothing to do after ``finish()``.
    ///
    /// A thread that is still writing finds its folder gone: its next file, or ``finish()``, throws.
    public func abandon() {
        state.withLock { state in
            switch state.phase {
            case .unprepared: break
            case .open: FolderWriter.removePartialFolder(state.partialPath)
            case .finished, .abandoned: return
            }
            state.phase = .abandoned
        }
    }

    /// What a writing thread adds during the removal goes in the next round; it can add nothing to a folder that is
    /// gone.
    private static func removePartialFolder(_ path: String) {
        for _ in 0..<100 {
            FileSystem.remove(path)
            if !FileSystem.exists(path) { return }
        }
    }

    private var abandoned: CheckpointError {
        CheckpointError(
            .missing, path: path, subject: "the output folder", expected: "what was prepared for it",
            found: "nothing, since it was abandoned")
    }

    /// Where the file `name` of the folder is being prepared.
    /// - Precondition: `name` is a plain file name.
    public func partialPath(of name: String) -> String {
        precondition(!name.isEmpty && name != "." && name != ".." && !name.contains("/"), "\(name) is no file name")
        return partialPath + "/" + name
    }

    /// Writes `text` as the file `name`.
    public func write(_ text: String, to name: String) throws(CheckpointError) {
        try write(Array(text.utf8), to: name)
    }

    /// Writes `bytes` as the file `name`.
    public func write(_ bytes: [UInt8], to name: String) throws(CheckpointError) {
        let file = try PartialFile(path: partialPath(of: name))
        try file.append(bytes)
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
    /// - Throws: `CheckpointError` if the system refuses, the target was taken meanwhile, or the folder was abandoned;
    ///   up to the rename the target stays what it was before and what was prepared is removed.
    public func finish() throws(CheckpointError) {
        // An interruption waits for the lock, so that it finds either nothing placed or everything.
        try state.withLock { (state) throws(CheckpointError) in
            precondition(state.phase != .finished, "the folder is finished")
            guard state.phase == .open else { throw abandoned }
            let replaced: String?
            do throws(CheckpointError) { replaced = try moveIntoPlace(from: state.partialPath) } catch {
                state.phase = .abandoned
                FolderWriter.removePartialFolder(state.partialPath)
                throw error
            }
            state.phase = .finished
            try FileSystem.synchronize(folder: FileSystem.split(path).folder)
            if let replaced { FileSystem.remove(replaced) }
        }
    }

    /// - Returns: where the model lies now whose place it is.
    private func moveIntoPlace(from partialPath: String) throws(CheckpointError) -> String? {
        try checkTarget()
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
        return replaced
    }

    private func checkTarget() throws(CheckpointError) {
        func conflict(_ expected: String, _ found: String) -> CheckpointError {
            CheckpointError(.conflict, path: path, subject: "the output folder", expected: expected, found: found)
        }
        let name = FileSystem.split(path).name
        guard !name.isEmpty, name != ".", name != ".." else {
            throw conflict("the name of a new folder", path.quoted)
        }
        for kept in kept where FileSystem.contains(path, kept) || FileSystem.contains(kept, path) {
            throw conflict(
                "a place apart from the model that is read", path == kept ? "the same place" : "one inside the other")
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
