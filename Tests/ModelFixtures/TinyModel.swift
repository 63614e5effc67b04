public import Checkpoints
public import OrderedJSON
import Tensors
import TestSupport

/// A Llama of toy size with seeded random weights, as a Hugging Face folder: what tests that need a model write for
/// themselves.
///
///     var model = TinyModel()
///     model.sparsity = 0.8
///     try model.write(to: folder.path("model"))
public struct TinyModel: Sendable {
    /// How the weights are stored.
    public var type = WeightType.f16
    public var hiddenSize = 64
    /// No multiple of the formats' tiles.
    public var intermediateSize = 100
    public var layerCount = 2
    public var headCount = 4
    public var keyValueHeadCount = 2
    public var headSize = 16
    public var context = 256
    public var tiesHead = true
    /// Safetensors files; more than one come with an index.
    public var shardCount = 1
    /// The share of zeros in the projections, each weight by chance.
    public var sparsity = 0.0
    public var seed: UInt64 = 1
    public var chatTemplate: String? = TinyTokenizer.chatTemplate
    /// The only tokens with a chance of being chosen; nil for all. Needs a separate head.
    public var likelyTokens: Set<Int>?
    /// A value to put at an index of a tensor, such as a NaN.
    public var planted: [String: (index: Int, value: Float)] = [:]
    /// Tensors to leave out.
    public var omitted: Set<String> = []
    /// Tensors to add.
    public var added: [(name: String, shape: [Int])] = []
    /// Shapes to store instead of the right ones.
    public var reshaped: [String: [Int]] = [:]
    /// Entries of config.json to add or replace.
    public var configurationChanges: [(key: String, value: JSON)] = []

    public init() {}

    public init(type: WeightType, sparsity: Double = 0) {
        self.type = type
        self.sparsity = sparsity
    }

    /// `config.json`
    public var configuration: JSON {
        var members: JSON = [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": .integer(hiddenSize), "intermediate_size": .integer(intermediateSize),
            "num_hidden_layers": .integer(layerCount), "num_attention_heads": .integer(headCount),
            "num_key_value_heads": .integer(keyValueHeadCount), "head_dim": .integer(headSize),
            "vocab_size": .integer(TinyTokenizer.vocabularySize), "max_position_embeddings": .integer(context),
            "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "tie_word_embeddings": .bool(tiesHead),
            "bos_token_id": .integer(TinyTokenizer.beginningID), "eos_token_id": .integer(TinyTokenizer.endID),
        ]
        for (key, value) in configurationChanges {
            var object = members.objectValue ?? [:]
            object[key] = value
            members = .object(object)
        }
        return members
    }

    /// The projections of all layers, which are pruned and packed: names and shapes.
    public var projections: [(name: String, shape: [Int])] {
        let (queries, keys) = (headCount * headSize, keyValueHeadCount * headSize)
        let shapes: [(String, [Int])] = [
            ("self_attn.q_proj", [queries, hiddenSize]), ("self_attn.k_proj", [keys, hiddenSize]),
            ("self_attn.v_proj", [keys, hiddenSize]), ("self_attn.o_proj", [hiddenSize, queries]),
            ("mlp.gate_proj", [intermediateSize, hiddenSize]), ("mlp.up_proj", [intermediateSize, hiddenSize]),
            ("mlp.down_proj", [hiddenSize, intermediateSize]),
        ]
        return (0..<layerCount).flatMap { layer in
            shapes.map { ("model.layers.\(layer).\($0.0).weight", $0.1) }
        }
    }

    /// Embedding, norms, and the head if it is separate: names and shapes.
    public var others: [(name: String, shape: [Int])] {
        let table = [TinyTokenizer.vocabularySize, hiddenSize]
        var tensors: [(String, [Int])] = [("model.embed_tokens.weight", table), ("model.norm.weight", [hiddenSize])]
        for layer in 0..<layerCount {
            tensors.append(("model.layers.\(layer).input_layernorm.weight", [hiddenSize]))
            tensors.append(("model.layers.\(layer).post_attention_layernorm.weight", [hiddenSize]))
        }
        return tiesHead ? tensors : tensors + [("lm_head.weight", table)]
    }

    /// The elements of a tensor, each a value that ``type`` holds exactly.
    public func elements(_ name: String) -> [Float] {
        guard let shape = (projections + others + added).first(where: { $0.name == name })?.shape else {
            preconditionFailure("a tiny model has no tensor \(name)")
        }
        var generator = SplitMix64(seed: name.utf8.reduce(seed) { ($0 ^ UInt64($1)) &* 0x100_0000_01B3 })
        let isProjection = name.contains("_proj")
        // Norms around 1; matrices scaled so that activations keep their size.
        let scale = shape.count == 1 ? 0.1 : 1 / Float(shape[1]).squareRoot()
        var elements = (0..<shape.reduce(1, *)).map { _ -> Float in
            let magnitude = Float.random(in: 0.05...1.5, using: &generator) * scale
            let value = Bool.random(using: &generator) ? magnitude : -magnitude
            let isZero = Double.random(in: 0..<1, using: &generator) < sparsity
            return isProjection && isZero ? 0 : rounded(shape.count == 1 ? 1 + value : value)
        }
        if name == "lm_head.weight", let likelyTokens {
            // Logit 0: below the largest of several random ones.
            for index in elements.indices where !likelyTokens.contains(index / hiddenSize) { elements[index] = 0 }
        }
        if let (index, value) = planted[name] { elements[index] = value }
        return elements
    }

    private func rounded(_ value: Float) -> Float {
        switch type {
        case .f32: value
        case .f16: Float(Float16(value))
        case .bf16: Float(bitPattern: value.bitPattern & 0xFFFF_0000)
        }
    }

    /// The elements of a tensor as they are stored.
    public func bytes(_ name: String) -> [UInt8] {
        func bytes<Bits: FixedWidthInteger>(_ bits: (Float) -> Bits) -> [UInt8] {
            elements(name).flatMap { withUnsafeBytes(of: bits($0).littleEndian, Array.init) }
        }
        return switch type {
        case .f32: bytes(\.bitPattern)
        case .f16: bytes { Float16($0).bitPattern }
        case .bf16: bytes { UInt16($0.bitPattern >> 16) }
        }
    }

    /// Writes the model as a folder at `path`.
    public func write(to path: String) throws {
        let folder = try FolderWriter(path: path)
        let tensors = (projections + others + added).filter { !omitted.contains($0.name) }
        let width = String(shardCount).count
        let files = (1...shardCount).map { index -> String in
            let number = String(repeating: "0", count: width - String(index).count) + String(index)
            return shardCount == 1 ? "model.safetensors" : "model-\(number)-of-\(shardCount).safetensors"
        }
        for (index, file) in files.enumerated() {
            let shard = tensors.enumerated().filter { $0.offset % shardCount == index }.map(\.element)
            let writer = try SafetensorsWriter(path: folder.partialPath(of: file), names: shard.map(\.name))
            for (name, shape) in shard {
                try bytes(name).withUnsafeBytes { bytes in
                    _ = try writer.append(
                        name, type: type.elementType, shape: reshaped[name] ?? shape, bytes: bytes)
                }
            }
            try writer.finish()
        }
        if shardCount > 1 {
            let map = tensors.enumerated().map { ($0.element.name, JSON.string(files[$0.offset % shardCount])) }
            let index: JSON = ["weight_map": .object(.init(uniqueKeysWithValues: map))]
            try folder.write(index.text(), to: "model.safetensors.index.json")
        }
        try folder.write(configuration.text(pretty: true), to: "config.json")
        let tokenizer = TinyTokenizer.files(chatTemplate: chatTemplate)
        try folder.write(tokenizer.tokenizer.text(), to: "tokenizer.json")
        try folder.write(tokenizer.configuration.text(pretty: true), to: "tokenizer_config.json")
        try folder.finish()
    }
}
