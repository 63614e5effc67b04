import Terminal

/// What a pull from the hub found or did.
public struct PulledRepository: Sendable, Equatable {
    public let reference: RepositoryReference
    public let commit: String
    /// What commands open: the snapshot's folder, or the GGUF file in it.
    public let path: String
    /// Paths in the repository.
    public let files: [String]
    /// Of all its files.
    public let byteCount: Int
    /// Of the files that were not there already; what an interrupted pull had left of them counts.
    public let fetchedByteCount: Int

    /// It was in the cache already; nothing was fetched.
    public var wasCached: Bool { fetchedByteCount == 0 }
}

/// A pull of one model from the hub into its cache.
public struct RepositoryPull: Sendable {
    public struct Options: Sendable, Equatable {
        /// Which GGUF file, if there are several.
        public var fileName: String?
        /// Fetch everything anew.
        public var force: Bool
        /// Hash files that are there already.
        public var verify: Bool
        /// Do not ask the hub, whatever the environment says.
        public var offline: Bool

        public init(fileName: String? = nil, force: Bool = false, verify: Bool = false, offline: Bool = false) {
            self.fileName = fileName
            self.force = force
            self.verify = verify
            self.offline = offline
        }
    }

    public typealias ProgressHandler = @Sendable (PullProgress) -> Void

    let reference: RepositoryReference
    let settings: HubSettings
    let options: Options
    let tuning: TransferTuning
    let report: ProgressHandler
    var cache: RepositoryCache { RepositoryCache(folder: settings.cacheFolder) }

    public init(
        _ reference: RepositoryReference, settings: HubSettings, options: Options = Options(),
        progress: @escaping ProgressHandler = { _ in }
    ) {
        self.init(reference, settings: settings, options: options, tuning: TransferTuning(), progress: progress)
    }

    init(
        _ reference: RepositoryReference, settings: HubSettings, options: Options, tuning: TransferTuning,
        progress: @escaping ProgressHandler
    ) {
        self.reference = reference
        self.settings = settings
        self.options = options
        self.tuning = tuning
        report = progress
    }

    /// Has the model in the cache: asks the hub what the revision is now, fetches the files that are missing, checks
    /// each one's digest before it gets its name, and records the commit last.
    ///
    /// What has arrived of a file when a pull fails or is cancelled stays in the cache, and the next pull goes on from
    /// there. Two pulls wait for each other file by file, also for those of `huggingface_hub`.
    /// - Throws: `HubError`; `cancelled` if the task is.
    public func run() async throws(HubError) -> PulledRepository {
        if options.offline || settings.isOffline { return try await cached() }
        let transport = HTTPTransport(
            settings: settings, connectSeconds: tuning.connectSeconds, silenceSeconds: tuning.silenceSeconds)
        do throws(HubError) {
            let pulled = try await fetchAll(through: transport)
            await transport.shutDown()
            return pulled
        } catch {
            await transport.shutDown()
            throw error
        }
    }

    func failure(_ error: RepositoryError) -> HubError { .repository(reference.description, error) }

    /// Runs what throws errors without the repository's name.
    func naming<Value>(_ body: () throws(RepositoryError) -> Value) throws(HubError) -> Value {
        do throws(RepositoryError) { return try body() } catch { throw failure(error) }
    }

    private func fetchAll(through transport: HTTPTransport) async throws(HubError) -> PulledRepository {
        let client = try naming { () throws(RepositoryError) in try HubClient(settings: settings, transport: transport)
        }
        let listing = try await listing(from: client)
        let selection = try naming { () throws(RepositoryError) in
            try FileSelection(listing, fileName: options.fileName)
        }
        var fetcher = FileFetcher(pull: self, client: client, commit: listing.commit)
        var files = selection.companions
        var path = cache.snapshotFolder(listing.commit, of: reference)
        switch selection.weights {
        case .single(let file): files.append(file)
        case .gguf(let file):
            files.append(file)
            path += "/" + file.path
        case .index(let file):
            guard file.byteCount <= FileSelection.indexByteLimit else {
                throw failure(.badListing(reason: "\(file.path) has \(Format.bytes(file.byteCount))"))
            }
            try await fetcher.fetch([file])
            let text = FileSystem.smallFile("\(path)/\(file.path)", limit: FileSelection.indexByteLimit) ?? []
            files.append(file)
            files += try naming { () throws(RepositoryError) in try FileSelection.shards(text, in: listing) }
        }
        try await fetcher.fetch(files)
        if !reference.isCommit {
            let place = cache.referencePath(reference)
            if FileSystem.smallText(place) != listing.commit {
                try FileSystem.makeFolders(FileSystem.folder(of: place))
                try FileSystem.write(listing.commit, to: place)
            }
        }
        return PulledRepository(
            reference: reference, commit: listing.commit, path: path, files: files.map(\.path).sorted(),
            byteCount: files.reduce(0) { $0 + $1.byteCount }, fetchedByteCount: fetcher.fetchedByteCount)
    }

    /// Asks the hub for the files of the revision.
    private func listing(from client: HubClient) async throws(HubError) -> RepositoryListing {
        report(PullProgress(.asking, 0, of: 0))
        var failures = 0
        while true {
            let failure: TransferFailure
            do {
                let reached = try await client.get(client.listingAddress(of: reference))
                let content = try await reached.answer.content(limit: RepositoryListing.answerByteLimit)
                return try naming { () throws(RepositoryError) in try RepositoryListing(parsing: content) }
            } catch let error as HubError {
                throw error
            } catch {
                failure = TransferFailure(error)
            }
            if failure == .cancelled || Task.isCancelled { throw .cancelled }
            failures += 1
            switch tuning.policy.decision(after: failure, failures: failures, jitter: tuning.jitter()) {
            case .retry(let seconds):
                report(PullProgress(.retrying, 0, of: 0))
                do { try await tuning.pause(seconds) } catch { throw .cancelled }
            case .giveUp:
                throw self.failure(
                    RepositoryError(
                        failure, host: client.host, hasToken: settings.token != nil, what: RepositoryError.listName))
            }
        }
    }
}

extension RepositoryPull {
    /// The model as it lies in the cache, without asking anybody.
    private func cached() async throws(HubError) -> PulledRepository {
        guard !options.force else {
            throw .notForThisModel(
                option: "--force", name: reference.description, reason: "the hub must not be asked for it")
        }
        let model: CachedRepository
        switch cache.state(of: reference) {
        case .complete(let found): model = found
        case .absent: throw failure(.offline(missing: nil))
        case .incomplete(let missing): throw failure(.offline(missing: missing))
        case .several(let paths):
            let wanted = options.fileName ?? ""
            guard let path = paths.first(where: { $0 == wanted || $0.hasSuffix("/" + wanted) }), !wanted.isEmpty else {
                throw failure(.severalCached(paths))
            }
            let folder = cache.commit(of: reference).map { cache.snapshotFolder($0, of: reference) + "/" } ?? ""
            model = CachedRepository(
                reference: reference, commit: cache.commit(of: reference) ?? "", path: path,
                files: [String(path.dropFirst(folder.count))], byteCount: FileSystem.byteCount(of: path) ?? 0)
        }
        if options.verify { try await verify(model) }
        return PulledRepository(
            reference: reference, commit: model.commit, path: model.path, files: model.files,
            byteCount: model.byteCount, fetchedByteCount: 0)
    }

    /// Compares the files of a cached model with the digests that their blobs are named by.
    private func verify(_ model: CachedRepository) async throws(HubError) {
        let meter = TransferMeter(totalBytes: model.byteCount, report: report)
        let snapshot = cache.snapshotFolder(model.commit, of: reference)
        for file in model.files {
            let path = "\(snapshot)/\(file)"
            // What is no link, as on file systems that know none, has no name to compare with.
            guard let name = FileSystem.linkTarget(of: path)?.split(separator: "/").last.map(String.init) else {
                continue
            }
            let digest: ContentDigest
            if HexadecimalDigest.isValid(name, digits: 64) {
                digest = .sha256(name)
            } else if HexadecimalDigest.isValid(name, digits: 40) {
                digest = .gitBlob(name)
            } else {
                continue
            }
            try await verify(path, is: digest, byteCount: FileSystem.byteCount(of: path) ?? 0, meter: meter)
        }
    }

    /// - Throws: `RepositoryError.damaged`.
    func verify(
        _ path: String, is digest: ContentDigest, byteCount: Int, meter: TransferMeter
    ) async throws(HubError) {
        let found = try await FileDigest.hash(path, with: ContentHasher(digest, byteCount: byteCount)) {
            meter.add($0, .verifying)
        }
        guard found == digest.text else {
            throw failure(
                .damaged(path: path, reason: "expected \(digest.algorithm) \(digest.text), found \(found)"))
        }
    }
}
