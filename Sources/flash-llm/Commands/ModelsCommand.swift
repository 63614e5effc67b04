import ArgumentParser
import Hub
import OrderedJSON
import Terminal

struct ModelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "models",
        abstract: "List the models that can be pulled and those in the cache.",
        discussion: """
            Every name in the list can be given to 'flash-llm pull' and, once pulled, to every command that takes a \
            MODEL. The state is judged by the file's size; 'flash-llm pull NAME --verify' reads the file.

            Examples:
              flash-llm models
              flash-llm models --json | jq -r '.models[] | select(.state == "pulled") | .path'
            """)

    @Flag(help: "Print one JSON object: the cache's folder and an array of models.")
    var json = false

    func run() throws {
        let console = Console()
        let cache = try ModelCache(environment: console.environment)
        if json {
            let models = cache.catalogue.entries.map { json(for: $0, in: cache) }
            let result: JSON = ["cache": .string(cache.root), "models": .array(models)]
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
        print(table.text(for: console.output), terminator: "")
        print("cache: \(cache.root.printable)")
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
