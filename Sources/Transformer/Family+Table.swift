extension Family {
    public static let all = [llama, mistral, qwen2, qwen3, smollm3, phi3, gemma2, gemma3, opt, gpt2]

    static let llama = Family(name: "llama")

    static let mistral = llama.changed("mistral") {
        $0.queryKeyValueBias = .never
        $0.outputBias = .never
        $0.mlpBias = .never
        $0.windows = .all(defaultSize: 4096)
        $0.required = [("attention_bias", false)]
    }

    static let qwen2 = llama.changed("qwen2") {
        $0.queryKeyValueBias = .always
        $0.outputBias = .never
        $0.mlpBias = .never
        $0.windows = .upperLayers
    }

    static let qwen3 = llama.changed("qwen3") {
        $0.mlpBias = .never
        $0.defaultHeadSize = 128
        $0.windows = .upperLayers
        $0.queryNorm = "self_attn.q_norm.weight"
        $0.keyNorm = "self_attn.k_norm.weight"
    }

    static let smollm3 = llama.changed("smollm3") {
        $0.positions = .rotary(defaultBase: 2_000_000)
        $0.tiesHeadByDefault = true
        $0.windows = .layersWithoutRotation
        $0.defaultRotationInterval = 4
    }

    /// Files hold query, key and value fused, and gate and up: see ``Checkpoints/FolderLayout``.
    static let phi3 = mistral.changed("phi3") {
        $0.windows = .all(defaultSize: nil)
        $0.defaultNormEpsilon = 1e-5
    }

    /// "Gemma 2: Improving Open Language Models at a Practical Size", arXiv:2408.00118.
    static let gemma2 = llama.changed("gemma2") {
        $0.keys.activation = "hidden_activation"
        $0.keys.attentionScale = "query_pre_attn_scalar"
        $0.keys.attentionCap = "attn_logit_softcapping"
        $0.keys.logitCap = "final_logit_softcapping"
        $0.windows = .allButOneIn(2)
        $0.tiesHeadByDefault = true
        $0.defaultHeadSize = 256
        $0.defaultActivation = "gelu_pytorch_tanh"
        $0.mlpBias = .never
        $0.normOffset = 1
        $0.scalesEmbeddings = true
        $0.required = [("use_bidirectional_attention", false)]
        $0.defaults = [
            ("max_position_embeddings", 8192), ("num_attention_heads", 8), ("num_key_value_heads", 4),
            ("query_pre_attn_scalar", 256), ("sliding_window", 4096), ("attn_logit_softcapping", 50),
            ("final_logit_softcapping", 30), ("vocab_size", 256_000),
        ]
        $0.attentionOutputNorm = "post_attention_layernorm.weight"
        $0.postAttentionNorm = "pre_feedforward_layernorm.weight"
        $0.mlpOutputNorm = "post_feedforward_layernorm.weight"
    }

    /// "Gemma 3 Technical Report", arXiv:2503.19786. Models that see hold this one as a part: see
    /// ``Checkpoints/TextPart``.
    static let gemma3 = gemma2.changed("gemma3_text") {
        $0.positions = .rotary(defaultBase: 1_000_000)
        $0.defaultWindowBase = 10_000
        $0.windows = .allButOneIn(6)
        $0.queryNorm = "self_attn.q_norm.weight"
        $0.keyNorm = "self_attn.k_norm.weight"
        $0.defaults = [
            ("max_position_embeddings", 131_072), ("num_attention_heads", 8), ("num_key_value_heads", 4),
            ("query_pre_attn_scalar", 256), ("sliding_window", 4096), ("vocab_size", 262_208),
        ]
    }

    /// Zhang et al., "OPT: Open Pre-trained Transformer Language Models", arXiv:2205.01068.
    static let opt = Family(name: "opt").changed("opt") {
        $0.norm = .layer
        $0.keys = Keys(
            intermediateSize: "ffn_dim", activation: "activation_function", normEpsilon: nil,
            embeddingSize: "word_embed_proj_dim")
        $0.positions = .learned(offset: 2)
        $0.defaultNormEpsilon = 1e-5
        $0.tiesHeadByDefault = true
        $0.hasKeyValueHeads = false
        $0.defaultActivation = "relu"
        $0.queryKeyValueBias = .entry("enable_bias", default: true)
        $0.outputBias = .entry("enable_bias", default: true)
        $0.mlpBias = .entry("enable_bias", default: true)
        $0.normsBefore = .entry("do_layer_norm_before", default: true)
        $0.omitsFinalNorm = .entry("_remove_final_layer_norm", default: false)
        $0.required = [("layer_norm_elementwise_affine", true)]
        $0.embedding = "model.decoder.embed_tokens.weight"
        $0.positionTable = "model.decoder.embed_positions.weight"
        $0.embeddingProjection = "model.decoder.project_in.weight"
        $0.headProjection = "model.decoder.project_out.weight"
        $0.finalNorm = "model.decoder.final_layer_norm.weight"
        $0.layerPath = "model.decoder.layers."
        $0.inputNorm = "self_attn_layer_norm.weight"
        $0.outputProjection = "self_attn.out_proj.weight"
        $0.postAttentionNorm = "final_layer_norm.weight"
        $0.gateProjection = nil
        $0.upProjection = "fc1.weight"
        $0.downProjection = "fc2.weight"
    }

    /// Radford et al., "Language Models are Unsupervised Multitask Learners". Files hold query, key and value fused and
    /// all matrices transposed: see ``Checkpoints/FolderLayout``, whose names (GPT-J's) these are.
    static let gpt2 = Family(name: "gpt2").changed("gpt2") {
        $0.norm = .layer
        $0.keys = Keys(
            hiddenSize: "n_embd", intermediateSize: "n_inner", layerCount: "n_layer", headCount: "n_head",
            maximumContext: "n_positions", activation: "activation_function", normEpsilon: "layer_norm_epsilon")
        $0.positions = .learned(offset: 0)
        $0.defaultNormEpsilon = 1e-5
        $0.tiesHeadByDefault = true
        $0.hasKeyValueHeads = false
        $0.defaultIntermediateRatio = 4
        $0.defaultActivation = "gelu_new"
        $0.queryKeyValueBias = .always
        $0.outputBias = .always
        $0.mlpBias = .always
        $0.required = [
            ("scale_attn_weights", true), ("scale_attn_by_inverse_layer_idx", false), ("add_cross_attention", false),
        ]
        $0.embedding = "transformer.wte.weight"
        $0.positionTable = "transformer.wpe.weight"
        $0.finalNorm = "transformer.ln_f.weight"
        $0.layerPath = "transformer.h."
        $0.inputNorm = "ln_1.weight"
        $0.queryProjection = "attn.q_proj.weight"
        $0.keyProjection = "attn.k_proj.weight"
        $0.valueProjection = "attn.v_proj.weight"
        $0.outputProjection = "attn.out_proj.weight"
        $0.postAttentionNorm = "ln_2.weight"
        $0.gateProjection = nil
        $0.upProjection = "mlp.fc_in.weight"
        $0.downProjection = "mlp.fc_out.weight"
    }

    /// A family that differs from this one in a few things.
    private func changed(_ name: String, _ change: (inout Family) -> Void) -> Family {
        var family = self
        family.name = name
        change(&family)
        return family
    }
}
