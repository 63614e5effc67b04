import OrderedJSON

extension GGUFArchitecture {
    static let all: [GGUFArchitecture] = [.llama, .qwen2, .qwen3, .phi3, .gpt2]

    /// llama.cpp's decoder of these has no window.
    static let llama = GGUFArchitecture(
        name: "llama", modelTypes: ["llama", "mistral"], constants: constants("llama", "LlamaForCausalLM"),
        keys: llamaKeys, modules: llamaModules,
        interleaved: ["blk.*.attn_q": .attention, "blk.*.attn_k": .keyValue],
        scalings: [.none, .linear, .factors, .yarn], activation: "silu")

    /// The rows of these are in order.
    static let qwen2 = GGUFArchitecture(
        name: "qwen2", modelTypes: ["qwen2"], constants: constants("qwen2", "Qwen2ForCausalLM"), keys: llamaKeys,
        modules: llamaModules, scalings: [.none, .linear, .yarn], activation: "silu")

    static let qwen3 = GGUFArchitecture(
        name: "qwen3", modelTypes: ["qwen3"], constants: constants("qwen3", "Qwen3ForCausalLM"), keys: llamaKeys,
        modules: llamaModules.merging([
            "blk.*.attn_q_norm": "model.layers.*.self_attn.q_norm",
            "blk.*.attn_k_norm": "model.layers.*.self_attn.k_norm",
        ]) { $1 },
        scalings: [.none, .linear, .yarn], activation: "silu")

    /// Query, key and value are one tensor, gate and up another, as they are in Hugging Face's files.
    static let phi3 = GGUFArchitecture(
        name: "phi3", modelTypes: ["phi3"], constants: constants("phi3", "Phi3ForCausalLM"), keys: llamaKeys,
        modules: llamaModules.filter { $0.key != "blk.*.ffn_gate" }.merging([
            "blk.*.attn_qkv": "model.layers.*.self_attn.qkv_proj", "blk.*.ffn_up": "model.layers.*.mlp.gate_up_proj",
        ]) { $1 },
        scalings: [.none, .linear, .yarn, .longRope], hasWindow: true, activation: "silu")

    /// Its matrices have rows where Hugging Face's files have columns.
    static let gpt2 = GGUFArchitecture(
        name: "gpt2", modelTypes: ["gpt2"],
        constants: [
            ("architectures", ["GPT2LMHeadModel"]), ("model_type", "gpt2"), ("activation_function", "gelu_new"),
        ],
        keys: [
            Key(gguf: "embedding_length", configuration: "n_embd", kind: .size, fallback: nil),
            Key(gguf: "feed_forward_length", configuration: "n_inner", kind: .size, fallback: nil),
            Key(gguf: "block_count", configuration: "n_layer", kind: .size, fallback: nil),
            Key(gguf: "attention.head_count", configuration: "n_head", kind: .size, fallback: nil),
            Key(gguf: "context_length", configuration: "n_positions", kind: .size, fallback: nil),
            Key(
                gguf: "attention.layer_norm_epsilon", configuration: "layer_norm_epsilon", kind: .number,
                fallback: nil),
        ],
        modules: [
            "token_embd": "transformer.wte",
            "position_embd": "transformer.wpe",
            "output_norm": "transformer.ln_f",
            "output": "lm_head",
            "blk.*.attn_norm": "transformer.h.*.ln_1",
            "blk.*.attn_qkv": "transformer.h.*.attn.c_attn",
            "blk.*.attn_output": "transformer.h.*.attn.c_proj",
            "blk.*.ffn_norm": "transformer.h.*.ln_2",
            "blk.*.ffn_up": "transformer.h.*.mlp.c_fc",
            "blk.*.ffn_down": "transformer.h.*.mlp.c_proj",
        ], activation: "gelu_new")

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
}
