public import Checkpoints
public import OrderedCollections
public import OrderedJSON
import Tensors
import TestSupport
import Tokenizers

/// A Llama of a few ten thousand random weights, for tests of everything above single matrices.
///
/// The sizes fit no tile, panel or vector on purpose. Matrices have variance 1 / (columns * density), so that
/// activations stay near 1 in every layer whatever the sparsity.
public struct TinyLlama: Sendable {
    public var hiddenSize = 72
    public var intermediateSize = 138
    public var layerCount = 2
    public var headCount = 4
    public var keyValueHeadCount = 2
    public var headSize = 16
    public var vocabularySize = 272
    public var maximumContext = 256
    public var tiesHead = false
    /// Of the values that are written: f32, f16 or bf16.
    public var type = WeightType.f16
    /// Share of zeros in the matrices of the layers.
    public var sparsity = 0.0
    public var seed: UInt64 = 1
    /// The only tokens with a chance of being chosen; nil for all. Needs a separate head.
    public var likelyTokens: ClosedRange<Int>?
    /// Replaces entries of config.json.
    public var entries: OrderedDictionary<String, JSON> = [:]

    public init() {}

    /// One tensor with the values that its type holds exactly, row-major.
    public struct Tensor: Sendable {
        public let name: String
        public var shape: [Int]
        public var values: [Float]
    }

    public var configuration: JSON {
        var members: OrderedDictionary<String, JSON> = [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": .integer(hiddenSize),
            "intermediate_size": .integer(intermediateSize), "num_hidden_layers": .integer(layerCount),
            "num_attention_heads": .integer(headCount), "num_key_value_heads": .integer(keyValueHeadCount),
            "head_dim": .integer(headSize), "vocab_size": .integer(vocabularySize),
            "max_position_embeddings": .integer(maximumContext), "rms_norm_eps": 1e-5, "rope_theta": 10_000,
            "hidden_act": "silu", "tie_word_embeddings": .bool(tiesHead), "eos_token_id": .integer(TinyTokenizer.endID),
        ]
        members.merge(entries) { _, new in new }
        return .object(members)
    }

    /// The matrices that are pruned and packed.
    public var projections: [String] {
        weights().map(\.name).filter { $0.contains("_proj.") }
    }

    /// All tensors, the same for the same settings.
    public func weights() -> [Tensor] {
        var generator = SplitMix64(seed: seed)
        func matrix(_ name: String, _ rows: Int, _ columns: Int, scale: Float = 1, density: Double = 1) -> Tensor {
            // A uniform distribution over ±a has variance a^2 / 3.
            let bound = scale * (3 / (Float(columns) * Float(density))).squareRoot()
            let values = (0..<rows * columns).map { _ -> Float in
                let value = Float.random(in: -bound...bound, using: &generator)
                return Double.random(in: 0..<1, using: &generator) < density ? rounded(value) : 0
            }
            return Tensor(name: name, shape: [rows, columns], values: values)
        }
        func norm(_ name: String) -> Tensor {
            let values = (0..<hiddenSize).map { _ in rounded(Float.random(in: 0.5...1.5, using: &generator)) }
            return Tensor(name: name, shape: [hiddenSize], values: values)
        }
        let queries = headCount * headSize
        let keys = keyValueHeadCount * headSize
        let density = 1 - sparsity
        // Embeddings are not summed over: their bound shall be 1, not 1 / columns.
        let embeddingScale = (Float(hiddenSize) / 3).squareRoot()
        var tensors = [matrix("model.embed_tokens.weight", vocabularySize, hiddenSize, scale: embeddingScale)]
        for layer in 0..<layerCount {
            func projection(_ name: String, _ rows: Int, _ columns: Int, scale: Float = 1) -> Tensor {
                matrix("model.layers.\(layer).\(name).weight", rows, columns, scale: scale, density: density)
            }
            tensors += [
                norm("model.layers.\(layer).input_layernorm.weight"),
                // Larger, so that attention is not merely a mean.
                projection("self_attn.q_proj", queries, hiddenSize, scale: 2),
                projection("self_attn.k_proj", keys, hiddenSize, scale: 2),
                projection("self_attn.v_proj", keys, hiddenSize), projection("self_attn.o_proj", hiddenSize, queries),
                norm("model.layers.\(layer).post_attention_layernorm.weight"),
                projection("mlp.gate_proj", intermediateSize, hiddenSize),
                projection("mlp.up_proj", intermediateSize, hiddenSize),
                projection("mlp.down_proj", hiddenSize, intermediateSize),
            ]
        }
        tensors.append(norm("model.norm.weight"))
        if !tiesHead {
            var head = matrix("lm_head.weight", vocabularySize, hiddenSize)
            if let likelyTokens {
                // Logit 0: below the largest of many random ones.
                for token in 0..<vocabularySize where !likelyTokens.contains(token) {
                    for column in 0..<hiddenSize { head.values[token * hiddenSize + column] = 0 }
                }
            }
            tensors.append(head)
        }
        return tensors
    }

    private func rounded(_ value: Float) -> Float {
        switch type {
        case .f32: value
        case .f16: Float(Float16(value))
        case .bf16: Float(bitPattern: (value.bitPattern + 0x7FFF + (value.bitPattern >> 16 & 1)) & 0xFFFF_0000)
        }
    }

    /// Writes a Hugging Face folder with a tokenizer at `path`.
    /// - Parameter edit: may change tensors before they are written.
    public func write(to path: String, edit: (inout [Tensor]) -> Void = { _ in }) throws {
        var tensors = weights()
        edit(&tensors)
        let folder = try FolderWriter(path: path)
        let writer = try SafetensorsWriter(
            path: folder.partialPath(of: "model.safetensors"), names: tensors.map(\.name))
        for tensor in tensors {
            func append<Element>(_ elements: [Element]) throws {
                try elements.withUnsafeBytes {
                    _ = try writer.append(tensor.name, type: type.elementType, shape: tensor.shape, bytes: $0)
                }
            }
            switch type {
            case .f32: try append(tensor.values)
            case .f16: try append(tensor.values.map { Float16($0).bitPattern })
            case .bf16: try append(tensor.values.map { UInt16($0.bitPattern >> 16) })
            }
        }
        try writer.finish()
        try folder.write(configuration.text(pretty: true) + "\n", to: "config.json")
        try TinyTokenizer.write(to: folder)
        try folder.finish()
    }
}
