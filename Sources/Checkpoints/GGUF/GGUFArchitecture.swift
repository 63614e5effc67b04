import OrderedJSON

/// How GGUF files of one architecture map to Hugging Face's names: a row of the table ``all``.
struct GGUFArchitecture: Sendable {
    /// A metadata key behind the architecture's name, and the key of config.json that takes its value.
    struct Key: Sendable {
        enum Kind: Sendable { case size, number }

        let gguf: String
        let configuration: String
        let kind: Kind
        /// What holds where the file has no such key; nil where it must have one.
        let fallback: JSON?
    }

    /// Whose heads' rotary pairs ggml's converter interleaves in a module's rows.
    enum Heads: Sendable { case attention, keyValue }

    /// The value of `general.architecture`.
    let name: String
    /// What config.json says in any case.
    let constants: [(key: String, value: JSON)]
    let keys: [Key]
    /// GGUF's module names to Hugging Face's; `*` stands for the layer's number.
    let modules: [String: String]
    /// The modules, by GGUF's names, whose rows are interleaved.
    let interleaved: [String: Heads]

    static let all: [GGUFArchitecture] = [.llama, .qwen2, .qwen3]

    static let llama = GGUFArchitecture(
        name: "llama", constants: constants("llama", "LlamaForCausalLM") + [("mlp_bias", false)], keys: llamaKeys,
        modules: llamaModules, interleaved: ["blk.*.attn_q": .attention, "blk.*.attn_k": .keyValue])

    /// The rows of these are in order.
    static let qwen2 = GGUFArchitecture(
        name: "qwen2", constants: constants("qwen2", "Qwen2ForCausalLM"), keys: llamaKeys, modules: llamaModules,
        interleaved: [:])

    static let qwen3 = GGUFArchitecture(
        name: "qwen3", constants: constants("qwen3", "Qwen3ForCausalLM"), keys: llamaKeys,
        modules: llamaModules.merging([
            "blk.*.attn_q_norm": "model.layers.*.self_attn.q_norm",
            "blk.*.attn_k_norm": "model.layers.*.self_attn.k_norm",
        ]) { $1 },
        interleaved: [:])

    private static func constants(_ modelType: String, _ type: String) -> [(key: String, value: JSON)] {
        [("architectures", [.string(type)]), ("model_type", .string(modelType)), ("hidden_act", "silu")]
    }

    private static let llamaKeys = [
        Key(gguf: "embedding_length", configuration: "hidden_size", kind: .size, fallback: nil),
        Key(gguf: "feed_forward_length", configuration: "intermediate_size", kind: .size, fallback: nil),
        Key(gguf: "block_count", configuration: "num_hidden_layers", kind: .size, fallback: nil),
        Key(gguf: "attention.head_count", configuration: "num_attention_heads", kind: .size, fallback: nil),
        Key(gguf: "context_length", configuration: "max_position_embeddings", kind: .size, fallback: nil),
        Key(
            gguf: "attention.layer_norm_rms_epsilon", configuration: "rms_norm_eps", kind: .number, fallback: nil),
        // ggml's own value where a file says nothing.
        Key(gguf: "rope.freq_base", configuration: "rope_theta", kind: .number, fallback: 10000.0),
    ]

    private static let llamaModules = [
        "token_embd": "model.embed_tokens",
        "output_norm": "model.norm",
        "output": "lm_head",
        "blk.*.attn_norm": "model.layers.*.input_layernorm",
        "blk.*.attn_q": "model.layers.*.self_attn.q_proj",
        "blk.*.attn_k": "model.layers.*.self_attn.k_proj",
        "blk.*.attn_v": "model.layers.*.self_attn.v_proj",
        "blk.*.attn_output": "model.layers.*.self_attn.o_proj",
        "blk.*.ffn_norm": "model.layers.*.post_attention_layernorm",
        "blk.*.ffn_gate": "model.layers.*.mlp.gate_proj",
        "blk.*.ffn_up": "model.layers.*.mlp.up_proj",
        "blk.*.ffn_down": "model.layers.*.mlp.down_proj",
    ]

    /// A tensor's module, with `*` for the layer's number, that number and what follows the module.
    struct TensorName: Equatable {
        let module: String
        let layer: Int?
        let suffix: String

        /// - Parameter name: GGUF's, such as `blk.3.attn_q.weight` or `output.weight`.
        init?(_ name: String) {
            let parts = name.split(separator: ".", omittingEmptySubsequences: false)
            if parts.count == 4, parts[0] == "blk", let layer = Int(parts[1]), layer >= 0, String(layer) == parts[1] {
                self.layer = layer
                module = "blk.*.\(parts[2])"
                suffix = String(parts[3])
            } else if parts.count == 2 {
                layer = nil
                module = String(parts[0])
                suffix = String(parts[1])
            } else {
                return nil
            }
        }
    }

    /// Hugging Face's name for the tensor that GGUF calls `name`; `name` itself where the table has none.
    func configurationName(of name: String) -> String {
        guard let tensor = TensorName(name), let module = modules[tensor.module] else { return name }
        let parts = module.split(separator: ".").map { $0 == "*" ? String(tensor.layer!) : String($0) }
        return parts.joined(separator: ".") + "." + tensor.suffix
    }
}
