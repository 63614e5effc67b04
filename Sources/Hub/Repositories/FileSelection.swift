import OrderedJSON
import Terminal

/// Which files of a repository make a model that we can run. Pure: a listing in, files out.
public struct FileSelection: Sendable, Equatable {
    /// What holds the weights.
    public enum Weights: Sendable, Equatable {
        /// One safetensors file.
        case single(RepositoryFile)
        /// Several, which this index names: ``shards(_:in:)``.
        case index(RepositoryFile)
        /// One GGUF file, which needs no other.
        case gguf(RepositoryFile)
    }

    public let weights: Weights
    /// Configuration, tokenizer and chat template, as far as they are there; none for GGUF.
    public let companions: [RepositoryFile]

    static let configurationName = "config.json"
    static let weightsName = "model.safetensors"
    static let indexName = "model.safetensors.index.json"
    /// What else is read beside safetensors.
    private static let companionNames = [
        "generation_config.json", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json",
        "added_tokens.json", "vocab.json", "merges.txt", "tokenizer.model", "chat_template.jinja",
        "chat_template.json",
    ]
    /// Pickles run code when they are loaded, whoever wrote them.
    private static let pickledSuffixes = [".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle"]
    /// An index names every tensor: 64 MiB are hundreds of thousands.
    static let indexByteLimit = 64 << 20
    static let shardLimit = 10_000

    /// - Parameter fileName: what `--file` says; nil for the usual choice: safetensors, or the only GGUF file.
    /// - Throws: `RepositoryError` if there are no weights that can be read, several GGUF files to choose from, or no
    ///   file of that name.
    public init(_ listing: RepositoryListing, fileName: String? = nil) throws(RepositoryError) {
        let single = listing[Self.weightsName]
        let index = listing[Self.indexName]
        if let fileName, fileName != Self.weightsName, fileName != Self.indexName {
            self.init(gguf: try Self.namedGGUF(fileName, in: listing))
        } else if let single, fileName != Self.indexName {
            try self.init(.single(single), listing)
        } else if let index, fileName != Self.weightsName {
            try self.init(.index(index), listing)
        } else if let fileName {
            throw .unknownFile(fileName, nearest: nil, known: Self.ggufFiles(in: listing).map(\.path))
        } else {
            self.init(gguf: try Self.onlyGGUF(in: listing))
        }
    }

    private init(gguf file: RepositoryFile) {
        weights = .gguf(file)
        companions = []
    }

    private init(_ weights: Weights, _ listing: RepositoryListing) throws(RepositoryError) {
        guard let configuration = listing[Self.configurationName] else {
            throw .noWeights(reason: "it has safetensors, but no \(Self.configurationName) that describes the model")
        }
        self.weights = weights
        companions = [configuration] + Self.companionNames.compactMap { listing[$0] }
    }

    static func isGGUF(_ path: String) -> Bool { path.lowercased().hasSuffix(".gguf") }

    private static func ggufFiles(in listing: RepositoryListing) -> [RepositoryFile] {
        listing.files.filter { isGGUF($0.path) }.sorted { $0.path < $1.path }
    }

    private static func onlyGGUF(in listing: RepositoryListing) throws(RepositoryError) -> RepositoryFile {
        let files = ggufFiles(in: listing)
        let whole = files.filter { partCount(of: $0.name) == nil }
        if whole.count > 1 { throw .chooseFile(known: whole.map(\.path)) }
        if let file = whole.first { return file }
        if let part = files.first { throw .noWeights(reason: splitReason(part)) }
        throw .noWeights(reason: reasonForNone(in: listing))
    }

    /// Why a repository without safetensors and GGUF cannot be run.
    private static func reasonForNone(in listing: RepositoryListing) -> String {
        let names = Set(listing.files.map(\.path))
        if names.contains("adapter_model.safetensors") || names.contains("adapter_config.json") {
            return "it has an adapter only; merge it into its model first"
        }
        if let file = listing.files.first(where: { !$0.isNested && $0.path.hasSuffix(".safetensors") }) {
            return "its weights are in '\(file.path.printable)', where '\(weightsName)' or '\(indexName)' is expected"
        }
        let pickled = listing.files.first { file in pickledSuffixes.contains { file.path.hasSuffix($0) } }
        if let pickled {
            return "its weights are pickled ('\(pickled.path.printable)'), which can run code when they are loaded: "
                + "look for a repository or revision with safetensors or GGUF, or convert them where you trust them"
        }
        return listing.files.isEmpty ? "it is empty" : "it has neither safetensors nor GGUF files"
    }

    /// The GGUF file that is called `wanted`: by path, by the last component, or by a part that only one has, such as
    /// `Q4_K_M`.
    private static func namedGGUF(
        _ wanted: String, in listing: RepositoryListing
    ) throws(RepositoryError) -> RepositoryFile {
        let files = ggufFiles(in: listing)
        let lowercased = wanted.lowercased()
        let file =
            files.first { $0.path == wanted } ?? only(files.filter { $0.name == wanted })
            ?? only(files.filter { !wanted.isEmpty && $0.path.lowercased().contains(lowercased) })
        guard let file else {
            let known = files.filter { partCount(of: $0.name) == nil }.map(\.path)
            throw .unknownFile(wanted, nearest: Suggestions.nearest(to: wanted, in: known), known: known)
        }
        if partCount(of: file.name) != nil { throw .noWeights(reason: splitReason(file)) }
        return file
    }

    private static func only(_ files: [RepositoryFile]) -> RepositoryFile? { files.count == 1 ? files[0] : nil }

    private static func splitReason(_ file: RepositoryFile) -> String {
        "'\(file.path.printable)' is one of several parts of a GGUF file, which are not read yet: "
            + "choose a file that is whole"
    }

    /// How many parts a file is one of, from names such as `model-00001-of-00003.gguf`; nil for a whole file.
    static func partCount(of name: String) -> Int? {
        guard isGGUF(name) else { return nil }
        let fields = name.dropLast(".gguf".count).split(separator: "-").suffix(3)
        guard fields.count == 3, fields.dropFirst().first == "of", let first = fields.first, let last = fields.last,
            first.utf8.count == 5, last.utf8.count == 5, Int(first) != nil, let count = Int(last), count > 1
        else { return nil }
        return count
    }
}

extension FileSelection {
    /// The files that an index distributes the tensors to.
    /// - Parameter index: the content of `model.safetensors.index.json`.
    /// - Throws: `RepositoryError.badListing` if it is no index, or names a file that the repository does not have.
    public static func shards(
        _ index: [UInt8], in listing: RepositoryListing
    ) throws(RepositoryError) -> [RepositoryFile] {
        var shards: [RepositoryFile] = []
        for name in try shardNames(index) {
            guard let file = listing[name] else {
                throw .badListing(reason: "\(indexName) lists '\(name.printable)', which the repository does not have")
            }
            shards.append(file)
        }
        return shards
    }

    /// The names of the files that an index lists, each once, sorted.
    static func shardNames(_ index: [UInt8]) throws(RepositoryError) -> [String] {
        let json: JSON
        do throws(JSONError) { json = try JSON(parsing: index) } catch {
            throw .badListing(reason: "\(indexName): \(error)")
        }
        guard let map = json["weight_map"]?.objectValue, !map.isEmpty else {
            throw .badListing(reason: "\(indexName) has no \"weight_map\" that lists tensors")
        }
        var names: Set<String> = []
        for value in map.values {
            guard let name = value.stringValue, !name.contains("/"),
                RepositoryListing.complaint(aboutPath: name) == nil, name.hasSuffix(".safetensors")
            else {
                let found = value.stringValue.map { "'\($0.printable.truncated(toWidth: 80, allowsUnicode: false))'" }
                throw .badListing(
                    reason: "\(indexName) must list safetensors files beside it, found \(found ?? value.kindName)")
            }
            names.insert(name)
        }
        guard names.count <= shardLimit else {
            throw .badListing(reason: "\(indexName) lists \(names.count) files, at most \(shardLimit) are accepted")
        }
        return names.sorted()
    }
}
