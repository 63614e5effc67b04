import FakeHub
import Foundation
import ModelFixtures
import OrderedJSON
import Synchronization
import Terminal
import Testing

/// Models from a hub on this machine: pulled, listed and used by their names.
@Suite(.timeLimit(.minutes(20))) struct HubPullTests {
    private let scratch = ScratchFolder()

    private func environment(_ hub: FakeHub, _ more: [String: String] = [:]) -> [String: String] {
        [
            "HF_HOME": scratch.path("hf"), "HF_HUB_CACHE": "", "HF_ENDPOINT": hub.endpoint, "HF_TOKEN": "",
            "HF_HUB_OFFLINE": "",
        ]
        .merging(more) { $1 }
    }

    private func run(_ hub: FakeHub, _ arguments: String..., more: [String: String] = [:]) throws -> Tool.Outcome {
        try Tool.start(arguments, in: scratch, environment: environment(hub, more)).wait()
    }

    /// A model that commands can open, as a repository.
    private func repository() throws -> FakeRepository {
        try TinyModel(type: .f16, sparsity: 0.5).write(to: scratch.path("model"))
        let files = try scratch.entries("model").map { name in
            FakeRepository.File(name, try scratch.bytes("model/\(name)"), isLarge: name.hasSuffix(".safetensors"))
        }
        return FakeRepository(files: files + [.init("README.md", "# Tiny")])
    }

    @Test func pullsListsAndUsesAModel() throws {
        let hub = try FakeHub([try repository()])
        try run(hub, "inspect", "owner/tiny").expectFailure(
            "there is no file or folder owner/tiny", "run 'flash-llm pull owner/tiny'")
        #expect(hub.requests.isEmpty)
        let pulled = try run(hub, "pull", "owner/tiny", "--json").json()
        #expect(pulled["name"] == "owner/tiny" && pulled["revision"] == "main" && pulled["cached"] == false)
        #expect(pulled["files"]?.arrayValue?.contains("README.md") == false)
        let before = hub.requests.count
        // The model by its name is the model in its folder.
        let named = try run(hub, "inspect", "owner/tiny", "--json").json()
        let placed = try run(hub, "inspect", "model", "--json").json()
        #expect(named["tensors"] == placed["tensors"] && named["parameters"] == placed["parameters"])
        let models = try run(hub, "models", "--json").json()
        let entry = models["models"]?.arrayValue?.first { $0["name"] == "owner/tiny" }
        #expect(entry?["state"] == "pulled" && entry?["path"] == pulled["path"] && entry?["bytes"] == pulled["bytes"])
        #expect(models["hub_cache"]?.stringValue == scratch.path("hf/hub"))
        #expect(try run(hub, "models").output.contains("owner/tiny"))
        #expect(hub.requests.count == before)
        let again = try run(hub, "pull", "owner/tiny")
        #expect(again.status == 0 && again.output.contains("is in the cache already: ") && again.errors == "")
        let offline = try run(hub, "pull", "owner/tiny", "--offline", "--verify")
        #expect(offline.output.contains("is in the cache and its hashes are right"))
    }

    @Test func letsAFolderOfTheNameWin() throws {
        let hub = try FakeHub([])
        try scratch.makeFolder("owner")
        try TinyModel(type: .f16, sparsity: 0.5).write(to: scratch.path("owner/tiny"))
        #expect(try run(hub, "inspect", "owner/tiny").status == 0)
    }

    @Test func leavesOutOfTheListWhatCannotBeRun() throws {
        let files: [FakeRepository.File] = [
            .init("config.json", "{\"model_type\": \"unheard-of\"}"),
            .init("model.safetensors", [1, 2, 3], isLarge: true),
        ]
        let hub = try FakeHub([FakeRepository(files: files)])
        #expect(try run(hub, "pull", "owner/tiny").status == 0)
        let names = try run(hub, "models", "--json").json()["models"]?.arrayValue?.compactMap {
            $0["name"]?.stringValue
        }
        #expect(names?.contains("owner/tiny") == false && names?.contains("smollm2-135m") == true)
    }

    @Test func refusesInOneSentence() throws {
        let hub = try FakeHub([try repository()])
        try run(hub, "pull", "owner/other").expectFailure("127.0.0.1 has no model owner/other")
        try run(hub, "pull", "owner/tiny@nightly").expectFailure("has no such revision of owner/tiny@nightly")
        try run(hub, "pull", "a/b/c").expectFailure("'a/b/c' is no repository's name")
        try run(hub, "pull", "./model").expectFailure("./model is a path")
        try run(hub, "pull", "owner/tiny", "--offline").expectFailure("forbids asking the hub")
        try run(hub, "pull", "owner/tiny", more: ["HF_HUB_OFFLINE": "1"]).expectFailure("forbids asking the hub")
        try run(hub, "pull", "owner/tiny", more: ["HF_TOKEN": "two words"]).expectFailure("HF_TOKEN cannot be used")
        try run(hub, "pull", "owner/tiny", more: ["HF_ENDPOINT": "nowhere"]).expectFailure("HF_ENDPOINT cannot be used")
        try run(hub, "pull", "smollm2-135m", "--offline").expectFailure("smollm2-135m cannot be pulled with --offline")
        try run(hub, "pull", "smollm2-135m", "--file", "x").expectFailure("--file is not for smollm2-135m")
    }

    /// The server stops in the middle of the weights, so that the signal comes there.
    @Test(arguments: [SIGINT, SIGTERM]) func keepsWhatArrived(signal: Int32) throws {
        let repository = try repository()
        let isSlow = Mutex(true)
        let hub = try FakeHub([repository]) { request, answer in
            var answer = answer
            if request.server == .files, isSlow.withLock({ $0 }) { answer.stallAfter = answer.body.count / 2 }
            return answer
        }
        let run = try Tool.start(["pull", "owner/tiny"], in: scratch, environment: environment(hub))
        let weights = try #require(repository.files.first { $0.isLarge })
        let path = scratch.path("hf/hub/models--owner--tiny/blobs/\(weights.sha256).incomplete")
        func size() -> Int { (try? FileManager.default.attributesOfItem(atPath: path)[.size] as? Int) ?? 0 }
        let half = Format.bytes(weights.content.count / 2)
        while run.process.isRunning, size() < weights.content.count / 2 { usleep(1000) }
        kill(run.process.processIdentifier, signal)
        let outcome = try run.wait()
        #expect(outcome.status == 128 + signal && outcome.output == "")
        #expect(outcome.errors.hasPrefix("interrupted: finished files are kept, and \(half) of"), "\(outcome.errors)")
        #expect(size() == weights.content.count / 2)
        isSlow.withLock { $0 = false }
        #expect(try self.run(hub, "pull", "owner/tiny").status == 0)
        let resumed = try #require(hub.requests.last { $0.server == .files })
        #expect(resumed.range?.lowerBound == weights.content.count / 2)
        #expect(try self.run(hub, "inspect", "owner/tiny").status == 0)
    }
}
