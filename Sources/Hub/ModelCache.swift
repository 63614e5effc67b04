import Terminal

/// A model that was asked for by name or path, and the path where it lies.
public struct ResolvedModel: Sendable, Equatable {
    /// A file or folder that exists.
    public let path: String
    /// The catalogue's entry if it was asked for by name; nil for a path.
    public let entry: CatalogueEntry?
}

/// What the cache holds of a catalogue entry, judged by the file's size.
public enum CacheState: Sendable, Equatable {
    case absent
    case present
    case damaged(foundBytes: Int)
}

/// The folder where pulled models live.
///
///     ROOT/models/NAME/FILE         a complete model: files get this name only when they are whole and checked
///     ROOT/models/.partial-NAME/    a pull at work, or what a killed one left; the next pull removes it
///     ROOT/models/.lock-NAME        held while NAME is being pulled
///     ROOT/kernels/                 code that was compiled for GPUs, which others write and read
///
/// The cache holds no state of its own: each call looks at the disk.
public struct ModelCache: Sendable {
    /// Absolute path of the cache.
    public let root: String
    public let catalogue: Catalogue
    let environment: [String: String]

    /// The cache at `$FLASH_LLM_HOME`, else at `~/.cache/flash-llm`. Nothing is made on disk before the first pull.
    /// - Parameter environment: the process's, also handed to the programs that a pull runs.
    /// - Throws: `HubError.noHome` if the environment has neither variable.
    public init(environment: [String: String], catalogue: Catalogue = .standard) throws(HubError) {
        if let root = environment["FLASH_LLM_HOME"], !root.isEmpty {
            self.root = FileSystem.absolute(root)
        } else if let home = environment["HOME"], !home.isEmpty {
            root = FileSystem.absolute(home) + "/.cache/flash-llm"
        } else {
            throw .noHome
        }
        self.catalogue = catalogue
        self.environment = environment
    }

    var modelsFolder: String { root + "/models" }

    /// Where code that was compiled for GPUs is kept.
    public var kernelsFolder: String { root + "/kernels" }

    /// Where the file of `entry` lies once it has been pulled.
    public func path(of entry: CatalogueEntry) -> String {
        "\(modelsFolder)/\(entry.name)/\(entry.fileName)"
    }

    /// Whether `entry` has been pulled. Looks at the size only; ``verify(_:progress:)`` reads the file.
    public func state(of entry: CatalogueEntry) -> CacheState {
        guard let found = FileSystem.byteCount(of: path(of: entry)) else { return .absent }
        return found == entry.file.byteCount ? .present : .damaged(foundBytes: found)
    }

    /// The path of a model given by name or path. What exists in the file system wins; `owner/name[@revision]` is
    /// looked up in the hub's cache, all else with a slash is a path, and what is left is a name of the catalogue.
    /// - Throws: `missingPath`, `unknownModel`, `notPulled`, `damaged`, `repository`.
    public func resolve(_ nameOrPath: String) throws(HubError) -> ResolvedModel {
        if !nameOrPath.isEmpty, FileSystem.exists(nameOrPath) { return ResolvedModel(path: nameOrPath, entry: nil) }
        if nameOrPath.contains("/") {
            guard let reference = try? RepositoryReference(nameOrPath) else { throw .missingPath(nameOrPath) }
            let path = try RepositoryCache(environment: environment).path(of: reference)
            return ResolvedModel(path: path, entry: nil)
        }
        let entry = try entry(named: nameOrPath)
        switch state(of: entry) {
        case .present: return ResolvedModel(path: path(of: entry), entry: entry)
        case .absent: throw .notPulled(name: entry.name)
        case .damaged(let found): throw damaged(entry, foundBytes: found)
        }
    }

    /// The catalogue's entry called `name`.
    /// - Throws: `unknownModel` with the nearest name and all of them; `notAName` for what can only be a path.
    public func entry(named name: String) throws(HubError) -> CatalogueEntry {
        if name.contains("/") { throw .notAName(path: name) }
        if let entry = catalogue[name] { return entry }
        let known = catalogue.entries.map(\.name)
        throw .unknownModel(name: name, nearest: Suggestions.nearest(to: name, in: known), known: known)
    }

    /// Reads the cached file of `entry` and compares its SHA-256 with the catalogue's.
    /// - Throws: `notPulled`, `damaged`, `fileFailed`; `cancelled` if the task is.
    public func verify(
        _ entry: CatalogueEntry, progress: @Sendable (PullProgress) -> Void = { _ in }
    ) async throws(HubError) {
        let path = path(of: entry)
        switch state(of: entry) {
        case .absent: throw .notPulled(name: entry.name)
        case .damaged(let found): throw damaged(entry, foundBytes: found)
        case .present: break
        }
        do throws(HubError) {
            try await FileDigest.verify(path, is: entry.file, what: path) { hashed in
                progress(PullProgress(.verifying, hashed, of: entry.file.byteCount))
            }
        } catch {
            guard case .wrongHash(_, let expected, let found) = error else { throw error }
            throw .damaged(name: entry.name, path: path, reason: "expected SHA-256 \(expected), found \(found)")
        }
    }

    private func damaged(_ entry: CatalogueEntry, foundBytes: Int) -> HubError {
        .damaged(
            name: entry.name, path: path(of: entry),
            reason: "expected \(entry.file.byteCount) bytes, found \(foundBytes)")
    }
}
