import FakeHub
import Synchronization
import Testing

@testable import Hub

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A fake hub, an empty cache, and pulls from the one to the other without real pauses.
final class PullStage: Sendable {
    let hub: FakeHub
    let folder: TemporaryFolder
    private let environment: [String: String]
    private let waited = Mutex<[Double]>([])

    /// Enough for several ranges, and different everywhere.
    static let weights = (0..<300_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }

    static let tiny = FakeRepository(files: [
        .init(".gitattributes", "x"), .init("README.md", "# Tiny"), .init("config.json", "{\"model_type\": \"llama\"}"),
        .init("tokenizer.json", "{}"), .init("model.safetensors", weights, isLarge: true),
        .init("pytorch_model.bin", [1, 2, 3], isLarge: true),
    ])

    init(
        _ repositories: FakeRepository..., environment: [String: String] = [:], hook: @escaping FakeHub.Hook = { $1 }
    ) throws {
        hub = try FakeHub(repositories, hook: hook)
        folder = try TemporaryFolder()
        self.environment = ["HF_HOME": folder.path, "HF_ENDPOINT": hub.endpoint].merging(environment) { $1 }
    }

    deinit { hub.stop() }

    /// Seconds of all pauses that a pull would have made.
    var pauses: [Double] { waited.withLock { $0 } }

    var settings: HubSettings { get throws { try HubSettings(environment: environment) } }
    var cache: RepositoryCache { RepositoryCache(folder: "\(folder.path)/hub") }

    private var tuning: TransferTuning {
        var tuning = TransferTuning()
        tuning.rangeByteCount = 32 << 10
        tuning.windowByteCount = 128 << 10
        tuning.policy.progressByteCount = 1
        // Far beyond what a busy machine makes an answer take.
        tuning.silenceSeconds = 60
        tuning.jitter = { 0.5 }
        tuning.pause = { [weak self] seconds in
            self?.waited.withLock { $0.append(seconds) }
            try Task.checkCancellation()
        }
        return tuning
    }

    @discardableResult func pull(
        _ name: String = "owner/tiny", _ options: RepositoryPull.Options = .init(),
        tune: (inout TransferTuning) -> Void = { _ in },
        progress: @escaping RepositoryPull.ProgressHandler = { _ in }
    ) async throws -> PulledRepository {
        var tuning = tuning
        tune(&tuning)
        return try await RepositoryPull(
            try RepositoryReference(name), settings: try settings, options: options, tuning: tuning, progress: progress
        ).run()
    }

    /// The sentence that a pull fails with.
    func failure(
        _ name: String = "owner/tiny", _ options: RepositoryPull.Options = .init(),
        tune: (inout TransferTuning) -> Void = { _ in }, sourceLocation: SourceLocation = #_sourceLocation
    ) async -> String {
        let error = await #expect(throws: HubError.self, sourceLocation: sourceLocation) {
            try await pull(name, options, tune: tune)
        }
        return error?.description ?? ""
    }

    /// What lies in the cache, without locks.
    var cached: [String] {
        folder.contents(of: "hub").filter { !$0.hasPrefix(".locks") && $0 != "CACHEDIR.TAG" }
    }

    /// Names of blobs, whole or not.
    func blobs(_ repository: String = "models--owner--tiny") -> [String] {
        folder.contents(of: "hub/\(repository)/blobs")
    }

    func bytes(_ path: String) -> [UInt8]? {
        FileManager.default.contents(atPath: "\(folder.path)/hub/\(path)").map { [UInt8]($0) }
    }

    func write(_ bytes: [UInt8], to path: String) throws {
        let target = "\(folder.path)/hub/\(path)"
        try FileManager.default.createDirectory(
            atPath: FileSystem.folder(of: target), withIntermediateDirectories: true)
        try Data(bytes).write(to: URL(fileURLWithPath: target))
    }
}
