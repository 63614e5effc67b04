import OrderedCollections
public import OrderedJSON

/// A model in Hugging Face's layout: `config.json`, the weights in one or several safetensors files, tokenizer files.
public struct ModelFolder: Sendable {
    public let path: String
    /// `config.json`, an object.
    public let configuration: JSON
    /// The files with the weights, in the order of their names.
    public let shards: [SafetensorsFile]
    public let tokenizerFiles: TokenizerFiles
    private let index: Index?

    static let configurationName = "config.json"
    static let weightsName = "model.safetensors"
    static let indexName = "model.safetensors.index.json"
    private static let configurationLimit = 1 << 24

    /// Opens the folder at `path`.
    /// - Throws: `CheckpointError` if `config.json` or weights are missing or damaged.
    /// - Complexity: O(bytes of headers and configuration).
    public init(path: String) throws(CheckpointError) {
        guard case .safetensors(let index) = try ModelFolder.contents(of: path) else {
            throw ModelFolder.missing(path, "the weights", expected: ModelFolder.weightsName, found: "a GGUF file")
        }
        try self.init(path: path, index)
    }

    /// - Parameter index: the files with the weights; nil if there is only the one.
    init(path: String, _ index: Index?) throws(CheckpointError) {
        self.path = path
        self.index = index
        let entries = Set(try FileSystem.entries(of: path))
        guard entries.contains(ModelFolder.configurationName) else {
            throw ModelFolder.missing(
                path, "the folder", expected: ModelFolder.configurationName, found: "weights without it")
        }
        configuration = try FileSystem.readObject(
            path: path + "/" + ModelFolder.configurationName, limit: ModelFolder.configurationLimit)
        tokenizerFiles = TokenizerFiles(folder: path, entries: entries)
        var shards: [SafetensorsFile] = []
        for name in index?.fileNames ?? [ModelFolder.weightsName] {
            guard entries.contains(name) else {
                throw ModelFolder.missing(
                    path, "the weights", expected: "the file \(name.quoted) that \(ModelFolder.indexName) lists",
                    found: "no such file")
            }
            shards.append(try SafetensorsFile(path: path + "/" + name))
        }
        self.shards = shards
    }

    static func missing(_ path: String, _ subject: String, expected: String, found: String) -> CheckpointError {
        CheckpointError(.missing, path: path, subject: subject, expected: expected, found: found)
    }
}

extension ModelFolder {
    /// `model.safetensors.index.json`: which file holds which tensor.
    struct Index: Sendable, Equatable {
        /// Names of tensors to plain names of files in the same folder.
        let files: OrderedDictionary<String, String>

        var fileNames: [String] { Set(files.values).sorted() }

        /// Reads the index of the folder at `path`. The files must lie in the folder: names that lead elsewhere are
        /// refused. A file itself may be a symbolic link, as everywhere in Hugging Face's cache.
        init(folder path: String) throws(CheckpointError) {
            let indexPath = path + "/" + indexName
            let index = try FileSystem.readObject(path: indexPath, limit: SafetensorsHeader.maximumByteCount)
            guard let map = index["weight_map"]?.objectValue, !map.isEmpty else {
                throw CheckpointError(
                    .damaged, path: indexPath, subject: "\"weight_map\"", expected: "an object that lists tensors",
                    found: index["weight_map"] == .object([:]) ? "none" : index["weight_map"]?.kindName ?? "none")
            }
            var files: OrderedDictionary<String, String> = [:]
            for (tensor, value) in map {
                guard let name = value.stringValue, !name.isEmpty, name != ".", name != "..", !name.contains("/"),
                    !name.contains("\\"), !name.utf8.contains(0)
                else {
                    throw CheckpointError(
                        .damaged, path: indexPath, subject: "tensor \(tensor.quoted)",
                        expected: "the plain name of a file in this folder",
                        found: value.stringValue?.quoted ?? value.kindName)
                }
                files[tensor] = name
            }
            self.files = files
        }
    }

    /// What kind of model a folder holds.
    enum Contents: Equatable {
        /// Weights in several files, or in one where there is no index.
        case safetensors(Index?)
        /// The name of the only GGUF file.
        case gguf(String)
    }

    /// Looks what the folder at `path` holds.
    static func contents(of path: String) throws(CheckpointError) -> Contents {
        let entries = try FileSystem.entries(of: path)
        // As transformers does: the single file goes before the index.
        if entries.contains(weightsName) { return .safetensors(nil) }
        if entries.contains(indexName) { return .safetensors(try Index(folder: path)) }
        let expected = "\(weightsName), \(indexName) or one .gguf file"
        let files = entries.filter { $0.hasSuffix(".gguf") }
        switch files.count {
        case 1: return .gguf(files[0])
        case 2...:
            throw missing(
                path, "the weights", expected: expected, found: "\(files.count) GGUF files; name one of them instead")
        default: break
        }
        let pickled = entries.first { name in [".bin", ".pt", ".pth", ".ckpt"].contains { name.hasSuffix($0) } }
        if let pickled {
            throw CheckpointError(
                .unsupported, path: path, subject: "the weights", expected: expected,
                found: "only \(pickled.quoted), which can run code when it is loaded; convert it to safetensors first")
        }
        throw missing(
            path, "the weights", expected: expected, found: entries.isEmpty ? "an empty folder" : "none of them")
    }

    /// The tensors of all shards in their order, without padding.
    /// - Throws: `CheckpointError` if two files hold the same tensor, or one that the index lists is not where it says.
    func storedTensors() throws(CheckpointError) -> OrderedDictionary<String, StoredTensor> {
        var stored: OrderedDictionary<String, StoredTensor> = [:]
        for shard in shards {
            for tensor in shard.tensors.values where !tensor.name.hasPrefix(SafetensorsFile.paddingPrefix) {
                let description = TensorDescription(
                    name: tensor.name, shape: tensor.shape, encoding: tensor.encoding,
                    byteCount: tensor.byteRange.count, path: shard.path)
                let entry = StoredTensor(
                    description: description, file: shard.file, byteRange: tensor.byteRange, interleavedHeadSize: nil)
                if let other = stored.updateValue(entry, forKey: tensor.name) {
                    throw CheckpointError(
                        .damaged, path: shard.path, subject: "tensor \(tensor.name.quoted)",
                        expected: "it in one file only", found: "it in \(other.description.path) too")
                }
            }
        }
        for (name, file) in index?.files ?? [:] where stored[name]?.description.path != path + "/" + file {
            throw ModelFolder.missing(
                path + "/" + ModelFolder.indexName, "tensor \(name.quoted)", expected: "it in \(file.quoted)",
                found: stored[name].map { "it in \($0.description.path)" } ?? "it in no file")
        }
        return stored
    }
}

extension TokenizerFiles {
    /// - Parameter entries: the names in `folder`.
    init(folder: String, entries: Set<String>) {
        func path(_ name: String) -> String? { entries.contains(name) ? folder + "/" + name : nil }
        tokenizer = path("tokenizer.json")
        configuration = path("tokenizer_config.json")
        chatTemplate = path("chat_template.jinja")
        generationConfiguration = path("generation_config.json")
        sentencePiece = path("tokenizer.model")
        vocabulary = path("vocab.json")
        merges = path("merges.txt")
        addedTokens = path("added_tokens.json")
        specialTokens = path("special_tokens_map.json")
        let named = [
            tokenizer, configuration, chatTemplate, generationConfiguration, addedTokens, path("chat_template.json"),
            merges, specialTokens, sentencePiece, vocabulary,
        ]
        all = named.compactMap(\.self)
    }
}
