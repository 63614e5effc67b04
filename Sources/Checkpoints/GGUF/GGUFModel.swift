import OrderedCollections
import OrderedJSON
import Tensors

/// A GGUF file seen as a model of a known architecture: Hugging Face's configuration and names.
struct GGUFModel {
    let file: GGUFFile
    let architecture: GGUFArchitecture
    let configuration: JSON
    private let metadata: GGUFMetadata
    private let attentionHeads: Int
    private let keyValueHeads: Int
    private let headSize: Int

    /// - Throws: `CheckpointError` if the architecture is unknown, is a mixture of experts, or lacks a key, or if the
    ///   file is one of several that belong together.
    init(_ file: GGUFFile) throws(CheckpointError) {
        self.file = file
        let metadata = GGUFMetadata(file)
        self.metadata = metadata
        let key = "general.architecture"
        let name = try metadata.required(key, "a string", \.stringValue)
        guard let architecture = GGUFArchitecture.all.first(where: { $0.name == name }) else {
            throw CheckpointError(
                .unsupported, path: file.path, subject: "the architecture",
                expected: GGUFArchitecture.all.map(\.name).joined(separator: " or "), found: name.quoted)
        }
        self.architecture = architecture
        try GGUFModel.refuse("split.count", above: 1, in: file, "one file with all tensors, joined by llama-gguf-split")
        try GGUFModel.refuse(name + ".expert_count", above: 0, in: file, "a model without experts")

        func size(_ suffix: String) throws(CheckpointError) -> Int? {
            try metadata.optional("\(name).\(suffix)", "a positive integer", \.positiveValue)
        }
        attentionHeads = try metadata.required(
            "\(name).attention.head_count", "a positive integer", \.positiveValue)
        keyValueHeads = try size("attention.head_count_kv") ?? attentionHeads
        let width = try metadata.required("\(name).embedding_length", "a positive integer", \.positiveValue)
        headSize = try size("attention.key_length") ?? width / attentionHeads
        guard headSize > 0, headSize % 2 == 0 else {
            throw metadata.damaged(
                "\(name).attention.head_count", expected: "heads of an even size in a width of \(width)",
                found: "\(attentionHeads)")
        }
        for suffix in ["rope.dimension_count", "attention.value_length"] {
            guard let value = try size(suffix), value != headSize else { continue }
            throw CheckpointError(
                .unsupported, path: file.path, subject: "metadata \"\(name).\(suffix)\"",
                expected: "the size of a head, \(headSize)", found: "\(value)")
        }
        configuration = .object(
            try GGUFModel.configuration(
                file, architecture, metadata, heads: (attentionHeads, keyValueHeads, headSize)))
    }

    private static func refuse(
        _ key: String, above limit: Int, in file: GGUFFile, _ expected: String
    ) throws(CheckpointError) {
        guard let count = file.metadata[key]?.intValue, count > limit else { return }
        throw CheckpointError(
            .unsupported, path: file.path, subject: "metadata \(key.quoted)", expected: expected, found: "\(count)")
    }

    private static func configuration(
        _ file: GGUFFile, _ architecture: GGUFArchitecture, _ metadata: GGUFMetadata,
        heads: (attention: Int, keyValue: Int, size: Int)
    ) throws(CheckpointError) -> OrderedDictionary<String, JSON> {
        var members: OrderedDictionary<String, JSON> = [:]
        for (key, value) in architecture.constants { members[key] = value }
        for key in architecture.keys {
            let name = "\(architecture.name).\(key.gguf)"
            let value: JSON?
            switch key.kind {
            case .size: value = try metadata.optional(name, "a positive integer", \.positiveValue).map(JSON.integer)
            case .number: value = try metadata.optional(name, "a finite number", \.finiteValue).map(JSON.number)
            case .limit: value = try metadata.optional(name, "a number of at least 0", \.limitValue)
            }
            guard let member = value ?? key.fallback else {
                throw metadata.missing(name, key.kind == .size ? "a positive integer" : "a finite number")
            }
            members[key.configuration] = member
        }
        if architecture.isRotary {
            members["num_key_value_heads"] = .integer(heads.keyValue)
            members["head_dim"] = .integer(heads.size)
            members["rope_scaling"] = try ropeScaling(file, architecture, metadata)
            members["attention_bias"] = .bool(file.tensors["blk.0.attn_q.bias"] != nil)
            members["mlp_bias"] = .bool(file.tensors["blk.0.ffn_up.bias"] != nil)
        }
        let layers = members["num_hidden_layers"]?.intValue ?? 0
        if let scale = architecture.scale, let width = members["hidden_size"]?.intValue {
            members["query_pre_attn_scalar"] = .integer(
                scale.divisor(layers: layers, width: width, heads: heads.attention, headSize: heads.size))
        }
        members["layer_types"] = try layerTypes(
            file, architecture, metadata, layers: layers, hasWindow: members["sliding_window"] != .null)
        members["vocab_size"] = .integer(try vocabularySize(file, architecture, metadata))
        members["tie_word_embeddings"] = .bool(file.tensors["output.weight"] == nil)
        for (key, member) in [("bos", "bos_token_id"), ("eos", "eos_token_id"), ("padding", "pad_token_id")] {
            let id = try metadata.optional("tokenizer.ggml.\(key)_token_id", "an integer", \.intValue)
            if let id, id != Int(UInt32.max) { members[member] = .integer(id) }
        }
        return members
    }

    private static func vocabularySize(
        _ file: GGUFFile, _ architecture: GGUFArchitecture, _ metadata: GGUFMetadata
    ) throws(CheckpointError) -> Int {
        let key = architecture.name + ".vocab_size"
        if let size = try metadata.optional(key, "a positive integer", \.positiveValue) { return size }
        guard let embedding = file.tensors["token_embd.weight"], embedding.dimensions.count == 2 else {
            throw metadata.missing(key, "a positive integer, or a matrix \"token_embd.weight\"")
        }
        return embedding.dimensions[1]
    }
}

extension GGUFModel {
    /// The file's tensors in its order under Hugging Face's names, fused ones cut apart. Divisors that the
    /// configuration has taken are none of them.
    func storedTensors() throws(CheckpointError) -> OrderedDictionary<String, StoredTensor> {
        var stored: OrderedDictionary<String, StoredTensor> = [:]
        for tensor in file.tensors.values where ![RotaryTensors.short, RotaryTensors.long].contains(tensor.name) {
            let description = TensorDescription(
                name: architecture.configurationName(of: tensor.name), shape: tensor.dimensions.reversed(),
                encoding: tensor.type.encoding, byteCount: tensor.byteRange.count, path: file.path)
            let entry = StoredTensor(
                description: description, file: file.file, byteRange: tensor.byteRange,
                interleavedHeadSize: try interleavedHeadSize(of: tensor, rows: description.rows),
                offset: -architecture.offset(of: tensor.name))
            guard stored.updateValue(entry, forKey: description.name) == nil else {
                throw CheckpointError(
                    .damaged, path: file.path, subject: "tensor \(tensor.name.quoted)", expected: "a name of its own",
                    found: "another tensor that is \(description.name.quoted)")
            }
        }
        return try FolderLayout.plainTensors(of: stored, configuration: configuration, turning: false)
    }

    private func interleavedHeadSize(of tensor: GGUFTensor, rows: Int) throws(CheckpointError) -> Int? {
        guard let name = GGUFArchitecture.TensorName(tensor.name), let heads = architecture.interleaved[name.module]
        else { return nil }
        let count = heads == .attention ? attentionHeads : keyValueHeads
        guard count.multipliedReportingOverflow(by: headSize) == (rows, false) else {
            throw CheckpointError(
                .damaged, path: file.path, subject: "tensor \(tensor.name.quoted)",
                expected: "\(count) heads of \(headSize) rows", found: "\(rows) rows")
        }
        return headSize
    }
}

extension GGUFValue {
    /// A size: of a layer, or of how many there are.
    var positiveValue: Int? {
        intValue.flatMap { $0 > 0 ? $0 : nil }
    }

    /// A size or a number, and null for 0.
    var limitValue: JSON? {
        if let size = intValue { return size < 0 ? nil : size == 0 ? .null : .integer(size) }
        return finiteValue.flatMap { $0 < 0 ? nil : $0 == 0 ? .null : .number($0) }
    }

    /// A number that config.json can hold.
    var finiteValue: Double? {
        doubleValue.flatMap { $0.isFinite ? $0 : nil }
    }
}
