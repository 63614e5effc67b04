/// Brings files of one commit into the cache: locks, space, downloads, digests, links.
struct FileFetcher {
    let pull: RepositoryPull
    let client: HubClient
    let commit: String
    /// Bytes of the files that were not there.
    private(set) var fetchedByteCount = 0
    /// What this pull has fetched or found: `--force` fetches it once.
    private var done: Set<RepositoryFile> = []

    private var cache: RepositoryCache { pull.cache }
    private var reference: RepositoryReference { pull.reference }
    private var tuning: TransferTuning { pull.tuning }

    init(pull: RepositoryPull, client: HubClient, commit: String) {
        self.pull = pull
        self.client = client
        self.commit = commit
    }

    /// Has all `files` in the cache. Small ones come first, so that what describes a model is there early.
    mutating func fetch(_ files: [RepositoryFile]) async throws(HubError) {
        let files = files.filter { !done.contains($0) }
        let isForced = pull.options.force
        let missing = files.filter { isForced || !isPresent($0) }.sorted {
            ($0.byteCount, $0.path) < ($1.byteCount, $1.path)
        }
        let known = files.filter { !missing.contains($0) }
        if !missing.isEmpty { try prepare(missing) }
        if pull.options.verify {
            let meter = TransferMeter(totalBytes: known.reduce(0) { $0 + $1.byteCount }, report: pull.report)
            for file in known {
                try await pull.verify(snapshotPath(file), is: file.digest, byteCount: file.byteCount, meter: meter)
            }
        }
        let meter = TransferMeter(totalBytes: missing.reduce(0) { $0 + $1.byteCount }, report: pull.report)
        for file in missing { if try await fetch(file, meter: meter) { fetchedByteCount += file.byteCount } }
        done.formUnion(files)
    }

    private func snapshotPath(_ file: RepositoryFile) -> String {
        "\(cache.snapshotFolder(commit, of: reference))/\(file.path)"
    }

    /// Whether the snapshot has the file, whole. It may be no link: some file systems know none.
    private func isPresent(_ file: RepositoryFile) -> Bool {
        FileSystem.byteCount(of: snapshotPath(file)) == file.byteCount
    }

    private func hasBlob(_ file: RepositoryFile) -> Bool {
        FileSystem.byteCount(of: cache.blobPath(file.digest, of: reference)) == file.byteCount
    }

    /// Makes the folders, and notices a full disk before the download rather than after it.
    private func prepare(_ missing: [RepositoryFile]) throws(HubError) {
        try FileSystem.makeFolders("\(cache.repositoryFolder(reference))/blobs")
        let tag = "\(cache.folder)/CACHEDIR.TAG"
        // Tells programs that make copies that these files can be had again: https://bford.info/cachedir/
        if !FileSystem.exists(tag) {
            try FileSystem.write("Signature: 8a477f597d28d172789f06886806bc55\n# A cache of models.\n", to: tag)
        }
        var needed = 0
        for file in Set(missing) where pull.options.force || !hasBlob(file) {
            let kept = FileSystem.byteCount(of: cache.incompletePath(file.digest, of: reference)) ?? 0
            needed += max(file.byteCount - kept, 0)
        }
        guard let free = FileSystem.freeBytes(in: cache.folder), free < needed else { return }
        throw .diskFull(folder: cache.folder, neededBytes: needed, freeBytes: free)
    }

    /// Has one file in the cache and in the snapshot.
    /// - Returns: whether it was fetched.
    private func fetch(_ file: RepositoryFile, meter: TransferMeter) async throws(HubError) -> Bool {
        let lockPath = cache.lockPath(file.digest, of: reference)
        try FileSystem.makeFolders(FileSystem.folder(of: lockPath))
        let lock = try await FolderLock.acquire(lockPath) { meter.add(0, .waiting) }
        defer { lock.release() }
        // Whoever held the lock may have fetched it meanwhile, and other commits share it.
        let isFetched = pull.options.force || !hasBlob(file)
        if isFetched { try await download(file, meter: meter) } else { meter.add(file.byteCount, .downloading) }
        let link = snapshotPath(file)
        let target = RepositoryCache.linkTarget(of: file.path, digest: file.digest)
        if FileSystem.linkTarget(of: link) != target {
            try FileSystem.makeFolders(FileSystem.folder(of: link))
            try FileSystem.link(link, to: target)
        }
        return isFetched
    }

    /// Fetches a blob, twice if the first had the wrong content, and gives it its name when it is right.
    private func download(_ file: RepositoryFile, meter: TransferMeter) async throws(HubError) {
        let path = cache.incompletePath(file.digest, of: reference)
        if pull.options.force { FileSystem.removeTree(path) }
        var found = ""
        for _ in 0..<2 {
            found = try await content(of: file, at: path, meter: meter)
            if found == file.digest.text {
                do throws(HubError) {
                    return try FileSystem.move(path, to: cache.blobPath(file.digest, of: reference))
                } catch {
                    // Where locks lock nobody out, another process may have moved the file that both wrote.
                    guard hasBlob(file) else { throw error }
                    return
                }
            }
            FileSystem.removeTree(path)
            meter.add(-file.byteCount, .retrying)
        }
        throw pull.failure(
            .wrongContent(
                path: file.path, algorithm: file.digest.algorithm, expected: file.digest.text, found: found))
    }

    /// Completes the file at `path`.
    /// - Returns: the digest of what is there then.
    private func content(
        of file: RepositoryFile, at path: String, meter: TransferMeter
    ) async throws(HubError) -> String {
        let writer = try BlobWriter(
            path: path, file: file, rangeByteCount: tuning.rangeByteCount, windowByteCount: tuning.windowByteCount)
        try await writer.hashKept { meter.add($0, .verifying) }
        let download = BlobDownload(
            client: client, reference: reference, commit: commit, file: file, writer: writer, tuning: tuning,
            meter: meter)
        try await download.run()
        return try await writer.finish()
    }
}
