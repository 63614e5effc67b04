import Terminal

/// The hub's cache on this machine, in the layout of `huggingface_hub`, with which it is shared.
///
///     FOLDER/models--OWNER--NAME/blobs/DIGEST              content, named by its SHA-256 or Git's SHA-1
///     FOLDER/models--OWNER--NAME/blobs/DIGEST.incomplete   the beginning of content on its way
///     FOLDER/models--OWNER--NAME/snapshots/COMMIT/PATH     a link to a blob that is whole
///     FOLDER/models--OWNER--NAME/refs/REVISION             the commit that a branch or tag stood for
///     FOLDER/.locks/models--OWNER--NAME/DIGEST.lock        held while the blob is fetched
///
/// Source: "Understand caching", documentation of huggingface_hub.
public struct RepositoryCache: Sendable, Equatable {
    /// Absolute.
    public let folder: String

    public init(folder: String) { self.folder = folder }

    /// The cache that the environment names: `HF_HUB_CACHE`, `HF_HOME`, else `~/.cache/huggingface/hub`.
    /// - Throws: `HubError.repository` with `noCacheFolder`.
    public init(environment: [String: String]) throws(HubError) {
        do throws(RepositoryError) { folder = try HubSettings.cacheFolder(environment) } catch {
            throw .repository("the hub", error)
        }
    }

    private static let folderPrefix = "models--"

    func repositoryFolder(_ reference: RepositoryReference) -> String {
        "\(folder)/\(Self.folderPrefix)\(reference.owner)--\(reference.name)"
    }

    func blobPath(_ digest: ContentDigest, of reference: RepositoryReference) -> String {
        "\(repositoryFolder(reference))/blobs/\(digest.text)"
    }

    func incompletePath(_ digest: ContentDigest, of reference: RepositoryReference) -> String {
        blobPath(digest, of: reference) + ".incomplete"
    }

    func lockPath(_ digest: ContentDigest, of reference: RepositoryReference) -> String {
        "\(folder)/.locks/\(Self.folderPrefix)\(reference.owner)--\(reference.name)/\(digest.text).lock"
    }

    func snapshotFolder(_ commit: String, of reference: RepositoryReference) -> String {
        "\(repositoryFolder(reference))/snapshots/\(commit)"
    }

    func referencePath(_ reference: RepositoryReference) -> String {
        "\(repositoryFolder(reference))/refs/\(reference.revision)"
    }

    /// What a snapshot's link at `path` holds: relative, so that the cache may be moved.
    static func linkTarget(of path: String, digest: ContentDigest) -> String {
        let depth = path.split(separator: "/").count - 1
        return String(repeating: "../", count: depth + 2) + "blobs/\(digest.text)"
    }

    /// Bytes of blobs that pulls have begun and not finished.
    public func unfinishedByteCount(of reference: RepositoryReference) -> Int {
        let folder = "\(repositoryFolder(reference))/blobs"
        let names = FileSystem.names(in: folder).filter { $0.hasSuffix(".incomplete") }
        return names.reduce(0) { $0 + (FileSystem.byteCount(of: "\(folder)/\($1)") ?? 0) }
    }

    /// The commit that the revision stands for here; nil if nothing says.
    func commit(of reference: RepositoryReference) -> String? {
        if reference.isCommit { return reference.revision }
        guard let text = FileSystem.smallText(referencePath(reference)) else { return nil }
        let commit = text.split(whereSeparator: \.isWhitespace).joined()
        return RepositoryReference.isCommit(commit) ? commit : nil
    }

    /// What the cache holds of a model.
    enum State: Equatable {
        case absent
        /// Not all that is needed.
        case incomplete(missing: String)
        /// Several GGUF files to choose from.
        case several([String])
        case complete(CachedRepository)
    }

    /// Looks whether the model can be run as it lies here. Reads names, and the index of models in several files.
    func state(of reference: RepositoryReference) -> State {
        guard let commit = commit(of: reference) else { return .absent }
        let snapshot = snapshotFolder(commit, of: reference)
        let paths = Self.files(below: snapshot)
        guard !paths.isEmpty else { return .absent }
        func complete(_ path: String, _ files: [String]) -> State {
            let sizes = files.map { FileSystem.byteCount(of: "\(snapshot)/\($0)") ?? 0 }
            return .complete(
                CachedRepository(
                    reference: reference, commit: commit, path: path, files: files.sorted(),
                    byteCount: sizes.reduce(0) { $0.addingReportingOverflow($1).partialValue }))
        }
        var weights: [String] = []
        if paths.contains(FileSelection.weightsName) {
            weights = [FileSelection.weightsName]
        } else if paths.contains(FileSelection.indexName) {
            let path = "\(snapshot)/\(FileSelection.indexName)"
            guard let index = FileSystem.smallFile(path, limit: FileSelection.indexByteLimit),
                let names = try? FileSelection.shardNames(index)
            else { return .incomplete(missing: "a readable \(FileSelection.indexName)") }
            weights = names
        }
        if weights.isEmpty {
            let files = paths.filter(FileSelection.isGGUF).sorted()
            if files.count == 1 { return complete("\(snapshot)/\(files[0])", files) }
            if files.count > 1 { return .several(files.map { "\(snapshot)/\($0)" }) }
            return .incomplete(missing: "a file with weights")
        }
        for name in [FileSelection.configurationName] + weights where !paths.contains(name) {
            return .incomplete(missing: name)
        }
        return complete(snapshot, paths.filter { !$0.contains("/") })
    }

    /// Paths of the files below a snapshot's folder, links to nothing left out.
    private static func files(below folder: String, depth: Int = 4) -> [String] {
        FileSystem.names(in: folder).flatMap { name in
            let path = "\(folder)/\(name)"
            if FileSystem.byteCount(of: path) != nil { return [name] }
            return depth > 0 ? files(below: path, depth: depth - 1).map { "\(name)/\($0)" } : []
        }
    }
}

/// A model from the hub that is whole in the cache.
public struct CachedRepository: Sendable, Equatable {
    public let reference: RepositoryReference
    /// 40 hexadecimal digits.
    public let commit: String
    /// What commands open: the snapshot's folder, or the GGUF file in it.
    public let path: String
    /// Paths in the snapshot.
    public let files: [String]
    public let byteCount: Int
}

extension RepositoryCache {
    /// The path of a model that is whole in the cache.
    /// - Throws: `HubError.repository` with what is missing and what to do.
    func path(of reference: RepositoryReference) throws(HubError) -> String {
        let error: RepositoryError
        switch state(of: reference) {
        case .complete(let model): return model.path
        case .absent:
            let known = models().map(\.reference.description)
            error = .notInCache(nearest: Suggestions.nearest(to: reference.description, in: known))
        case .incomplete(let missing): error = .incomplete(missing: missing)
        case .several(let paths): error = .severalCached(paths)
        }
        throw .repository(reference.description, error)
    }

    /// All models that are whole, in the order of their names, each by the shortest name that finds it.
    public func models() -> [CachedRepository] {
        FileSystem.names(in: folder).flatMap { name -> [CachedRepository] in
            guard name.hasPrefix(Self.folderPrefix) else { return [] }
            let parts = name.dropFirst(Self.folderPrefix.count).split(separator: "--", omittingEmptySubsequences: false)
            // The hub forbids "--" inside of owners and names.
            guard parts.count == 2, let main = try? RepositoryReference(parts.joined(separator: "/")) else { return [] }
            return references(of: main).compactMap { reference in
                if case .complete(let model) = state(of: reference) { model } else { nil }
            }
        }
    }

    /// One reference for every snapshot: `main` if it is that, another branch or tag, or the commit.
    private func references(of main: RepositoryReference) -> [RepositoryReference] {
        let repository = repositoryFolder(main)
        var references = [main]
        for path in Self.files(below: "\(repository)/refs").sorted() where path != main.revision {
            if let reference = try? RepositoryReference("\(main.repository)@\(path)") { references.append(reference) }
        }
        for commit in FileSystem.names(in: "\(repository)/snapshots") {
            guard let reference = try? RepositoryReference("\(main.repository)@\(commit)"), reference.isCommit else {
                continue
            }
            references.append(reference)
        }
        var seen: Set<String> = []
        return references.filter { reference in
            guard let commit = commit(of: reference) else { return false }
            return seen.insert(commit).inserted
        }
    }
}
