import Testing

@testable import Hub

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite struct RepositoryCacheTests {
    private let stage: TemporaryFolder
    private let cache: RepositoryCache
    private let reference: RepositoryReference
    private static let commits = ["a", "b", "c"].map { String(repeating: $0, count: 40) }

    init() throws {
        stage = try TemporaryFolder()
        cache = RepositoryCache(folder: "\(stage.path)/hub")
        reference = try RepositoryReference("owner/tiny")
    }

    private func snapshot(_ commit: String, _ files: [String: String]) throws {
        for (path, text) in files { try stage.write(text, to: "hub/models--owner--tiny/snapshots/\(commit)/\(path)") }
    }

    private func point(_ revision: String, to text: String) throws {
        try stage.write(text, to: "hub/models--owner--tiny/refs/\(revision)")
    }

    @Test func laysFilesOutAsHuggingFaceHubDoes() throws {
        let folder = "\(stage.path)/hub/models--owner--tiny"
        let digest = ContentDigest.sha256(String(repeating: "ab", count: 32))
        #expect(cache.blobPath(digest, of: reference) == "\(folder)/blobs/\(digest.text)")
        #expect(
            cache.lockPath(digest, of: reference) == "\(stage.path)/hub/.locks/models--owner--tiny/\(digest.text).lock")
        #expect(RepositoryCache.linkTarget(of: "a.json", digest: digest) == "../../blobs/\(digest.text)")
        #expect(RepositoryCache.linkTarget(of: "x/y/a.json", digest: digest) == "../../../../blobs/\(digest.text)")
        let other = try RepositoryReference("owner/tiny@refs/pr/1")
        #expect(cache.referencePath(other) == "\(folder)/refs/refs/pr/1")
    }

    @Test func findsTheCommit() throws {
        #expect(cache.commit(of: reference) == nil)
        try point("main", to: Self.commits[0])
        #expect(cache.commit(of: reference) == Self.commits[0])
        try point("main", to: Self.commits[0] + "\n")
        #expect(cache.commit(of: reference) == Self.commits[0])
        for bad in ["", "main", "../../..", Self.commits[0] + "a", Self.commits[0].uppercased()] {
            try point("main", to: bad)
            #expect(cache.commit(of: reference) == nil)
        }
        let commit = try RepositoryReference("owner/tiny@\(Self.commits[1])")
        #expect(cache.commit(of: commit) == Self.commits[1])
    }

    @Test func tellsWholeModelsFromParts() throws {
        #expect(cache.state(of: reference) == .absent)
        try point("main", to: Self.commits[0])
        #expect(cache.state(of: reference) == .absent)
        try snapshot(Self.commits[0], ["config.json": "{}"])
        #expect(cache.state(of: reference) == .incomplete(missing: "a file with weights"))
        let index = "{\"weight_map\": {\"x\": \"m-1.safetensors\", \"y\": \"m-2.safetensors\"}}"
        try snapshot(Self.commits[0], ["model.safetensors.index.json": index, "m-1.safetensors": "1"])
        #expect(cache.state(of: reference) == .incomplete(missing: "m-2.safetensors"))
        // A link to nothing is no file.
        let link = cache.snapshotFolder(Self.commits[0], of: reference) + "/m-2.safetensors"
        try FileSystem.link(link, to: "../../blobs/missing")
        #expect(cache.state(of: reference) == .incomplete(missing: "m-2.safetensors"))
        try stage.write("22", to: "hub/models--owner--tiny/blobs/missing")
        let path = cache.snapshotFolder(Self.commits[0], of: reference)
        guard case .complete(let model) = cache.state(of: reference) else { return #expect(Bool(false)) }
        #expect(model.path == path && model.commit == Self.commits[0])
        #expect(model.byteCount == 2 + index.utf8.count + 1 + 2 && model.files.count == 4)
        #expect(try cache.path(of: reference) == path)
    }

    @Test func refusesADamagedIndex() throws {
        try point("main", to: Self.commits[0])
        for text in ["", "{}", "{\"weight_map\": {\"x\": \"../../../../secret.safetensors\"}}"] {
            try snapshot(Self.commits[0], ["config.json": "{}", "model.safetensors.index.json": text])
            #expect(
                cache.state(of: reference) == .incomplete(missing: "a readable model.safetensors.index.json"))
        }
    }

    @Test func findsGGUF() throws {
        try point("main", to: Self.commits[0])
        try snapshot(Self.commits[0], ["quants/tiny.Q8_0.gguf": "x", "README.md": "y"])
        let path = cache.snapshotFolder(Self.commits[0], of: reference) + "/quants/tiny.Q8_0.gguf"
        #expect(try cache.path(of: reference) == path)
        try snapshot(Self.commits[0], ["tiny.Q4_0.gguf": "x"])
        let error = #expect(throws: HubError.self) { try cache.path(of: reference) }
        #expect(error?.description.contains("several GGUF files of owner/tiny") == true)
        #expect(error?.description.contains(path) == true)
    }

    @Test func listsEachModelOnce() throws {
        let whole = ["config.json": "{}", "model.safetensors": "x"]
        try snapshot(Self.commits[0], whole)
        try snapshot(Self.commits[1], whole)
        try snapshot(Self.commits[2], whole)
        try point("main", to: Self.commits[0])
        try point("v1", to: Self.commits[0])
        try point("refs/pr/2", to: Self.commits[1])
        try stage.write("x", to: "hub/models--owner--part/snapshots/\(Self.commits[0])/config.json")
        try stage.write("x", to: "hub/datasets--owner--data/snapshots/\(Self.commits[0])/model.safetensors")
        for junk in ["models--x", "models--a--b--c", "models--..--..", "other", ".locks"] {
            try stage.write("x", to: "hub/\(junk)/snapshots/\(Self.commits[0])/model.safetensors")
        }
        let names = cache.models().map(\.reference.description)
        #expect(names == ["owner/tiny", "owner/tiny@refs/pr/2", "owner/tiny@\(Self.commits[2])"])
        for model in cache.models() { #expect(try cache.path(of: model.reference) == model.path) }
        #expect(RepositoryCache(folder: "/nowhere").models() == [])
    }

    @Test func isFoundWhereverAModelIsNamed() throws {
        let models = try ModelCache(environment: ["FLASH_LLM_HOME": stage.path, "HF_HOME": stage.path])
        let error = #expect(throws: HubError.self) { try models.resolve("owner/tiny") }
        #expect(error?.description.contains("run 'flash-llm pull owner/tiny'") == true)
        try point("main", to: Self.commits[0])
        try snapshot(Self.commits[0], ["config.json": "{}", "model.safetensors": "x"])
        let path = cache.snapshotFolder(Self.commits[0], of: reference)
        #expect(try models.resolve("owner/tiny") == ResolvedModel(path: path, entry: nil))
        #expect(try models.resolve("owner/tiny@\(Self.commits[0])").path == path)
        #expect(throws: HubError.self) { try models.resolve("owner/tiny@other") }
        let typo = #expect(throws: HubError.self) { try models.resolve("Owner/tinny") }
        #expect(
            typo?.description.contains("did you mean 'owner/tiny'? (else run 'flash-llm pull Owner/tinny')") == true)
    }
}
