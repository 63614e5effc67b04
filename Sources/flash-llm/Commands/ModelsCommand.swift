import ArgumentParser
import Checkpoints
import Hub
import OrderedJSON
import Terminal
import Transformer

struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the models that can be pulled and those in the cache.",
        discussion: """
            Every name in the list can be given to 'flash-llm pull' and, once pulled, to every command that takes a \
            MODEL. Those with a slash are what the hub's cache holds of models that can be run, whoever fetched them. \
            The state is judged by the files' sizes; 'flash-llm pull NAME --verify' reads them.

            Examples:
              flash-llm models
              flash-llm models --json | jq -r '.models[] | select(.state == "pulled") | .path'
            """)

    @Flag(help: "Print one JSON object: the cache's folder and an array of models.")
    var json = false

    func run() throws {
        let console = Console()
        let cache = try ModelCache(environment: console.environment)
        let hub = try? RepositoryCache(environment: console.environment)
        let repositories = (hub?.models() ?? []).compactMap(RunnableRepository.init)
        if json {
            let models = cache.catalogue.entries.map { json(for: $0, in: cache) } + repositories.map(json)
            let result: JSON = [
                "cache": .string(cache.root), "hub_cache": hub.map { .string($0.folder) } ?? .null,
                "models": .array(models),
            ]
            print(result.text())
            return
        }
        var table = Table([
            .text("name"), .number("size"), .text("state"), .text("licence"), .text("from"), .text("what it is"),
        ])
        for entry in cache.catalogue.entries {
            table.append([
                entry.name, Format.bytes(entry.file.byteCount), cache.state(of: entry).word, entry.licence,
                entry.origin, "\(entry.title): \(entry.summary)",
            ])
        }
        for repository in repositories {
            table.append([
                repository.name, Format.bytes(repository.model.byteCount), "pulled", "", "Hugging Face hub",
                repository.summary,
            ])
        }
        print(table.text(for: console.output), terminator: "")
        print("cache: \(cache.root.printable)")
        if let hub { print("the hub's cache: \(hub.folder.printable)") }
    }

    private func json(for repository: RunnableRepository) -> JSON {
        [
            "name": .string(repository.name),
            "title": .string(repository.model.reference.name),
            "summary": .string(repository.summary),
            "licence": .null,
            "origin": "Hugging Face hub",
            "commit": .string(repository.model.commit),
            "bytes": .integer(repository.model.byteCount),
            "state": "pulled",
            "path": .string(repository.model.path),
        ]
    }

    private func json(for entry: CatalogueEntry, in cache: ModelCache) -> JSON {
        [
            "name": .string(entry.name),
            "title": .string(entry.title),
            "summary": .string(entry.summary),
            "licence": .string(entry.licence),
            "origin": .string(entry.origin),
            "bytes": .integer(entry.file.byteCount),
            "download_bytes": .integer(entry.downloadByteCount),
            "sha256": .string(entry.file.sha256),
            "state": .string(cache.state(of: entry).word),
            "path": .string(cache.path(of: entry)),
        ]
    }
}

extension CacheState {
    fileprivate var word: String {
        switch self {
        case .absent: "not pulled"
        case .present: "pulled"
        case .damaged: "damaged"
        }
    }
}

/// A model in the hub's cache that is of a family we know.
private struct RunnableRepository {
    let model: CachedRepository
    let summary: String

    var name: String { model.reference.description }

    /// nil if it is not one that can be run. Reads headers and configuration.
    init?(_ model: CachedRepository) {
        guard let checkpoint = try? Checkpoint.open(path: model.path),
            let configuration = try? ModelConfiguration(checkpoint.configuration)
        else { return nil }
        self.model = model
        let file = model.path.hasSuffix(".gguf") ? ", " + (model.files.first ?? "").printable : ""
        summary = "\(configuration.family.name), \(configuration.layerCount) layers\(file)"
    }
}
