import FakeHub
import Synchronization
import Testing

@testable import Hub

/// What an interrupted pull leaves, and what the next one makes of it.
@Suite(.timeLimit(.minutes(20))) struct RepositoryResumeTests {
    private static let tiny = PullStage.tiny
    private static let weightsBlob = tiny.files.first { $0.path == "model.safetensors" }!.sha256
    private static let incomplete = "models--owner--tiny/blobs/\(weightsBlob).incomplete"

    private func requested(_ stage: PullStage) -> [Range<Int>] {
        stage.hub.requests.filter { $0.server == .files }.compactMap(\.range)
    }

    @Test(arguments: [1, 32 << 10, 150_001, 299_999]) func goesOnFromWhatIsThere(count: Int) async throws {
        let stage = try PullStage(Self.tiny)
        try stage.write(Array(PullStage.weights.prefix(count)), to: Self.incomplete)
        let pulled = try await stage.pull()
        #expect(stage.bytes("models--owner--tiny/snapshots/\(pulled.commit)/model.safetensors") == PullStage.weights)
        #expect(requested(stage).map(\.lowerBound).min() == count)
        #expect(requested(stage).map(\.count).reduce(0, +) == PullStage.weights.count - count)
        #expect(!stage.blobs().contains { $0.hasSuffix(".incomplete") })
    }

    @Test func asksForNothingIfAllIsThere() async throws {
        let stage = try PullStage(Self.tiny)
        try stage.write(PullStage.weights, to: Self.incomplete)
        try await stage.pull()
        #expect(!stage.hub.requests.contains { $0.server == .files })
        #expect(stage.blobs().contains(Self.weightsBlob))
    }

    @Test func beginsAnewIfWhatIsThereIsWrong() async throws {
        for junk in [
            [UInt8](repeating: 7, count: 1000), [UInt8](repeating: 7, count: 300_000), PullStage.weights + [0],
        ] {
            let stage = try PullStage(Self.tiny)
            try stage.write(junk, to: Self.incomplete)
            let pulled = try await stage.pull()
            #expect(
                stage.bytes("models--owner--tiny/snapshots/\(pulled.commit)/model.safetensors") == PullStage.weights)
        }
    }

    @Test func refusesToWriteThroughALink() async throws {
        let stage = try PullStage(Self.tiny)
        try stage.write(Array("precious".utf8), to: "precious")
        try stage.write([], to: "models--owner--tiny/blobs/x")
        try FileSystem.link("\(stage.cache.folder)/\(Self.incomplete)", to: "../../precious")
        #expect(await stage.failure().hasPrefix("cannot open"))
        #expect(stage.bytes("precious") == Array("precious".utf8))
    }

    /// Cancelled at every stage of a file: what is on disk is a beginning of it, and the next pull completes it.
    @Test func keepsABeginningWhenCancelled() async throws {
        for limit in [1, 100_000, 299_999] {
            let stage = try PullStage(Self.tiny)
            let pull = Mutex<Task<Void, any Error>?>(nil)
            let task = Task {
                _ = try await stage.pull(progress: { report in
                    if report.phase == .downloading, report.completedBytes > limit { pull.withLock { $0?.cancel() } }
                })
            }
            pull.withLock { $0 = task }
            let result = await task.result
            if case .failure(let error) = result {
                #expect(error as? HubError == .cancelled)
                if let kept = stage.bytes(Self.incomplete) {
                    #expect(kept == Array(PullStage.weights.prefix(kept.count)))
                }
                #expect(!stage.cached.contains { $0.hasSuffix("snapshots/\(Self.tiny.commit)/model.safetensors") })
            }
            let pulled = try await stage.pull()
            #expect(
                stage.bytes("models--owner--tiny/snapshots/\(pulled.commit)/model.safetensors") == PullStage.weights)
        }
    }

    @Test func waitsForAnotherProgramsLock() async throws {
        let stage = try PullStage(Self.tiny)
        try stage.write([], to: ".locks/models--owner--tiny/x")
        let path = "\(stage.cache.folder)/.locks/models--owner--tiny/\(Self.weightsBlob).lock"
        let lock = try #require(try FolderLock.acquireIfFree(path))
        let isWaiting = Mutex(false)
        let task = Task {
            try await stage.pull(progress: { report in
                if report.phase == .waiting { isWaiting.withLock { $0 = true } }
            })
        }
        while !isWaiting.withLock({ $0 }) { try await Task.sleep(for: .milliseconds(5)) }
        #expect(!stage.hub.requests.contains { $0.server == .files })
        // The other program completes the blob meanwhile.
        try stage.write(PullStage.weights, to: "models--owner--tiny/blobs/\(Self.weightsBlob)")
        lock.release()
        let pulled = try await task.value
        #expect(pulled.fetchedByteCount == pulled.byteCount - PullStage.weights.count)
        #expect(!stage.hub.requests.contains { $0.server == .files })
    }
}
