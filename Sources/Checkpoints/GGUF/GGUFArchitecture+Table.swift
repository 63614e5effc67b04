import OrderedJSON

extension GGUFArchitecture {
    static let all: [GGUFArchitecture] = [.llama, .qwen2, .qwen3, .smollm3, .phi3, .gemma2, .gemma3, .gpt2]

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
        modules: llamaModules.merging(headNorms) { $1 }, scalings: [.none, .linear, .yarn], activation: "silu")

    /// Query, key and value are one tensor, gate and up another, as they are in Hugging Face's files.
    static let phi3 = GGUFArchitecture(
        name: "phi3", modelTypes: ["phi3"], constants: constants("phi3", "Phi3ForCausalLM"),
        keys: llamaKeys + [window],
        modules: llamaModules.filter { $0.key != "blk.*.ffn_gate" }.merging([
            "blk.*.attn_qkv": "model.layers.*.self_attn.qkv_proj", "blk.*.ffn_up": "model.layers.*.mlp.gate_up_proj",
        ]) { $1 },
        scalings: [.none, .linear, .yarn, .longRope], windows: .all, activation: "silu")

    /// llama.cpp's decoder knows by itself that every fourth layer does not rotate, and has no window. With YaRN
    /// its texts were others than transformers' and ours, so that is not written.
    static let smollm3 = GGUFArchitecture(
        name: "smollm3", modelTypes: ["smollm3"],
        constants: constants("smollm3", "SmolLM3ForCausalLM") + [("no_rope_layer_interval", 4)], keys: llamaKeys,
        modules: llamaModules, interleaved: llama.interleaved, scalings: [.none, .linear],
        rotationInterval: 4, hasBiases: false, activation: "silu")

    static let gemma2 = GGUFArchitecture(
        name: "gemma2", modelTypes: ["gemma2"], constants: gemmaConstants("gemma2", "Gemma2ForCausalLM"),
        keys: llamaKeys + [
            // llama.cpp's own values where a file says nothing.
            Key(gguf: "attention.sliding_window", configuration: "sliding_window", kind: .size, fallback: 4096),
            Key(gguf: "attn_logit_softcapping", configuration: "attn_logit_softcapping", kind: .number, fallback: 50),
            Key(gguf: "final_logit_softcapping", configuration: "final_logit_softcapping", kind: .number, fallback: 30),
        ],
        modules: gemmaModules, scalings: [.none, .linear], windows: .allButOneIn(2), normOffset: 1,
        scale: .init(layersOfLargest: 46), caps: .both, mayUntieHead: false, hasBiases: false,
        activation: "gelu_pytorch_tanh")

    static let gemma3 = GGUFArchitecture(
        name: "gemma3", modelTypes: ["gemma3_text"], constants: gemmaConstants("gemma3_text", "Gemma3ForCausalLM"),
        keys: llamaKeys + [
            window,
            Key(
                gguf: "rope.freq_base_swa", configuration: "rope_local_base_freq", kind: .number,
                fallback: .number(windowBase)),
            Key(
                gguf: "final_logit_softcapping", configuration: "final_logit_softcapping", kind: .limit, fallback: .null
            ),
        ],
        modules: gemmaModules.merging(headNorms) { $1 }, scalings: [.none, .linear], windows: .allButOneIn(6),
        windowBase: windowBase, normOffset: 1, scale: .init(layersOfLargest: 62), caps: .logits, hasBiases: false,
        activation: "gelu_pytorch_tanh")

    /// By which layers with a window rotate. Files may say another, which only newer programs read.
    private static let windowBase = 10_000.0

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

    private static func gemmaConstants(_ modelType: String, _ type: String) -> [(key: String, value: JSON)] {
        [
            ("architectures", [.string(type)]), ("model_type", .string(modelType)),
            ("hidden_activation", "gelu_pytorch_tanh"),
        ]
    }

    private static let window = Key(
        gguf: "attention.sliding_window", configuration: "sliding_window", kind: .limit, fallback: .null)

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

    private static let headNorms = [
        "blk.*.attn_q_norm": "model.layers.*.self_attn.q_norm",
        "blk.*.attn_k_norm": "model.layers.*.self_attn.k_norm",
    ]

    private static let gemmaModules = llamaModules.merging([
        "blk.*.post_attention_norm": "model.layers.*.post_attention_layernorm",
        "blk.*.ffn_norm": "model.layers.*.pre_feedforward_layernorm",
        "blk.*.post_ffw_norm": "model.layers.*.post_feedforward_layernorm",
    ]) { $1 }
}
