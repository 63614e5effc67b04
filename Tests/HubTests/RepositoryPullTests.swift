import FakeHub
import Testing

@testable import Hub

@Suite(.timeLimit(.minutes(20))) struct RepositoryPullTests {
    private static let tiny = PullStage.tiny
    private static let folder = "models--owner--tiny"
    private static func file(_ path: String) -> FakeRepository.File { tiny.files.first { $0.path == path }! }
    private static let weightsBlob = file("model.safetensors").sha256

    @Test func fetchesChecksAndLinks() async throws {
        let stage = try PullStage(Self.tiny)
        let reports = Reports()
        let pulled = try await stage.pull(progress: { reports.add($0) })
        let names = ["config.json", "model.safetensors", "tokenizer.json"]
        let snapshot = "\(Self.folder)/snapshots/\(Self.tiny.commit)"
        #expect(pulled.commit == Self.tiny.commit && pulled.files == names && !pulled.wasCached)
        #expect(pulled.path == "\(stage.folder.path)/hub/\(snapshot)")
        for name in names {
            let file = Self.file(name)
            #expect(stage.bytes("\(snapshot)/\(name)") == file.content)
            #expect(FileSystem.linkTarget(of: "\(pulled.path)/\(name)") == "../../blobs/\(file.digest)")
        }
        #expect(stage.blobs() == names.map { Self.file($0).digest }.sorted())
        #expect(stage.folder.read("hub/\(Self.folder)/refs/main") == Self.tiny.commit)
        #expect(stage.folder.read("hub/CACHEDIR.TAG")?.hasPrefix("Signature: 8a477f597d28d172789f06886806bc55") == true)
        let all = reports.all
        #expect(all.first?.phase == .asking && all.last?.completedBytes == pulled.byteCount)
        #expect(all.allSatisfy { (0...$0.totalBytes).contains($0.completedBytes) })
        // Nothing that was not needed has been asked for.
        for name in ["pytorch_model.bin", "README.md"] {
            #expect(!stage.hub.requests.contains { $0.target.hasSuffix(name) })
        }
    }

    @Test func asksForSeveralRangesAtTheSecondServer() async throws {
        let stage = try PullStage(Self.tiny)
        try await stage.pull()
        let ranges = stage.hub.requests.filter { $0.server == .files }.compactMap(\.range)
        #expect(ranges.sorted { $0.lowerBound < $1.lowerBound }.map(\.count).reduce(0, +) == PullStage.weights.count)
        #expect(ranges.count == 10)
        // The hub itself is asked for the address once.
        #expect(stage.hub.requests.filter { $0.target.hasSuffix("model.safetensors") }.count == 1)
    }

    @Test func fetchesNothingTwice() async throws {
        let stage = try PullStage(Self.tiny)
        try await stage.pull()
        let before = stage.hub.requests.count
        let again = try await stage.pull()
        #expect(again.wasCached && stage.hub.requests.count == before + 1)
        #expect(try await stage.pull("owner/tiny", .init(verify: true)).wasCached)
        #expect(stage.hub.requests.count == before + 2)
        let forced = try await stage.pull("owner/tiny", .init(force: true))
        #expect(!forced.wasCached && forced.fetchedByteCount == forced.byteCount)
        #expect(stage.blobs().count == 3)
    }

    @Test func sharesBlobsBetweenCommits() async throws {
        let commit = String(repeating: "12345678", count: 5)
        let changed = FakeRepository(
            commit: commit, revisions: ["next"],
            files: Self.tiny.files.filter { $0.path != "tokenizer.json" } + [.init("tokenizer.json", "{\"new\": 1}")])
        let stage = try PullStage(Self.tiny, changed)
        try await stage.pull()
        let pulled = try await stage.pull("owner/tiny@next")
        #expect(pulled.commit == commit && pulled.fetchedByteCount == 10)
        #expect(stage.folder.read("hub/\(Self.folder)/refs/next") == commit)
        #expect(stage.folder.read("hub/\(Self.folder)/refs/main") == Self.tiny.commit)
    }

    @Test(arguments: ["refs/pr/1", "v1.0", "feature/a-b"]) func takesRevisionsWithSlashes(revision: String) async throws
    {
        let stage = try PullStage(FakeRepository(revisions: [revision], files: Self.tiny.files))
        let pulled = try await stage.pull("owner/tiny@\(revision)")
        #expect(pulled.commit == Self.tiny.commit)
        #expect(stage.folder.read("hub/\(Self.folder)/refs/\(revision)") == Self.tiny.commit)
        #expect(try stage.cache.path(of: RepositoryReference("owner/tiny@\(revision)")) == pulled.path)
    }

    @Test func recordsNoReferenceForACommit() async throws {
        let stage = try PullStage(Self.tiny)
        let pulled = try await stage.pull("owner/tiny@\(Self.tiny.commit)")
        #expect(pulled.commit == Self.tiny.commit)
        #expect(!stage.cached.contains("\(Self.folder)/refs"))
    }

    @Test func takesTheShardsOfAnIndex() async throws {
        let names = ["model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"]
        let index = "{\"weight_map\": {\"a\": \"\(names[0])\", \"b\": \"\(names[1])\"}}"
        let shards = names.enumerated().map { number, name in
            FakeRepository.File(name, [UInt8](repeating: UInt8(number), count: 50_000 + number), isLarge: true)
        }
        let stage = try PullStage(
            FakeRepository(
                files: [.init("config.json", "{}"), .init("model.safetensors.index.json", index)] + shards
                    + [.init("model-other.safetensors", [9], isLarge: true)]))
        for force in [false, true] {
            let pulled = try await stage.pull("owner/tiny", .init(force: force))
            #expect(pulled.files == ["config.json", names[0], names[1], "model.safetensors.index.json"].sorted())
            for shard in shards {
                #expect(
                    stage.bytes("\(Self.folder)/snapshots/\(pulled.commit)/\(shard.path)") == shard.content)
            }
            #expect(try stage.cache.path(of: RepositoryReference("owner/tiny")) == pulled.path)
        }
        let indexRequests = stage.hub.requests.filter { $0.target.hasSuffix("index.json") }
        #expect(indexRequests.count == 2)
    }

    @Test func takesOneGGUFOutOfSeveral() async throws {
        let files = ["q/tiny.Q4_0.gguf", "q/tiny.Q8_0.gguf"].map {
            FakeRepository.File($0, Array($0.utf8), isLarge: true)
        }
        let stage = try PullStage(FakeRepository(files: files))
        #expect(await stage.failure().contains("choose one by --file: q/tiny.Q4_0.gguf, q/tiny.Q8_0.gguf"))
        #expect(stage.cached == [])
        let pulled = try await stage.pull("owner/tiny", .init(fileName: "q8_0"))
        #expect(pulled.path.hasSuffix("/snapshots/\(pulled.commit)/q/tiny.Q8_0.gguf"))
        #expect(FileSystem.linkTarget(of: pulled.path) == "../../../blobs/\(files[1].sha256)")
        #expect(try stage.cache.path(of: RepositoryReference("owner/tiny")) == pulled.path)
        let error = await stage.failure("owner/tiny", .init(fileName: "tiny.Q9_0.gguf"))
        #expect(error.contains("did you mean"))
    }

    @Test func fetchesEmptyFiles() async throws {
        let stage = try PullStage(FakeRepository(files: Self.tiny.files + [.init("merges.txt", "")]))
        let pulled = try await stage.pull()
        #expect(stage.bytes("\(Self.folder)/snapshots/\(pulled.commit)/merges.txt") == [])
        #expect(stage.blobs().contains("e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"))
    }

    @Test func usesWhatOthersFetched() async throws {
        let stage = try PullStage(Self.tiny)
        // A blob of another commit, and a file that is no link, as on file systems without links.
        try stage.write(PullStage.weights, to: "\(Self.folder)/blobs/\(Self.weightsBlob)")
        let file = Self.file("tokenizer.json")
        try stage.write(file.content, to: "\(Self.folder)/snapshots/\(Self.tiny.commit)/tokenizer.json")
        let pulled = try await stage.pull()
        #expect(pulled.fetchedByteCount == Self.file("config.json").content.count)
        #expect(!stage.hub.requests.contains { $0.target.hasSuffix("model.safetensors") })
        #expect(FileSystem.linkTarget(of: "\(pulled.path)/tokenizer.json") == nil)
    }

    @Test func worksWithoutTheNetwork() async throws {
        let stage = try PullStage(Self.tiny)
        let offline = RepositoryPull.Options(offline: true)
        let absent = await stage.failure("owner/tiny", offline)
        #expect(
            absent.hasPrefix("owner/tiny is not in the cache, and --offline or HF_HUB_OFFLINE forbids asking the hub"))
        #expect(stage.hub.requests.isEmpty && stage.cached == [])
        let pulled = try await stage.pull()
        let before = stage.hub.requests.count
        let found = try await stage.pull("owner/tiny", .init(verify: true, offline: true))
        #expect(found.wasCached && found.path == pulled.path && found.commit == pulled.commit)
        FileSystem.removeTree("\(pulled.path)/config.json")
        #expect(await stage.failure("owner/tiny", offline).hasPrefix("config.json of owner/tiny is not in the cache"))
        #expect(await stage.failure("owner/tiny", .init(force: true, offline: true)).hasPrefix("--force is not for"))
        #expect(stage.hub.requests.count == before)
    }

    @Test func obeysTheEnvironmentOffline() async throws {
        let stage = try PullStage(Self.tiny, environment: ["HF_HUB_OFFLINE": "1"])
        #expect(await stage.failure().contains("HF_HUB_OFFLINE"))
        #expect(stage.hub.requests.isEmpty)
    }

    @Test func findsCorruptionWhenAskedTo() async throws {
        let stage = try PullStage(Self.tiny)
        try await stage.pull()
        var weights = PullStage.weights
        weights[1000] ^= 1
        try stage.write(weights, to: "\(Self.folder)/blobs/\(Self.weightsBlob)")
        #expect(try await stage.pull().wasCached)
        for offline in [false, true] {
            let sentence = await stage.failure("owner/tiny", .init(verify: true, offline: offline))
            #expect(sentence.contains("is damaged: expected SHA-256 \(Self.weightsBlob)"))
            #expect(sentence.hasSuffix("run 'flash-llm pull owner/tiny --force'"))
        }
        try await stage.pull("owner/tiny", .init(force: true))
        #expect(try await stage.pull("owner/tiny", .init(verify: true)).wasCached)
    }

    @Test func pullsTheSameModelOnceForTwo() async throws {
        let stage = try PullStage(Self.tiny)
        let pulls = try await withThrowingTaskGroup(of: PulledRepository.self) { group in
            for _ in 0..<4 { group.addTask { try await stage.pull() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        let total = pulls[0].byteCount
        #expect(pulls.count == 4 && pulls.map(\.fetchedByteCount).reduce(0, +) == total)
        let fetched = stage.hub.requests.filter { $0.server == .files }.compactMap(\.range).map(\.count).reduce(0, +)
        #expect(fetched == PullStage.weights.count)
        #expect(stage.blobs().count == 3)
    }
}
