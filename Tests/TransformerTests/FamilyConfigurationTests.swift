import ModelFixtures
import OrderedJSON
import Testing

@testable import Transformer

/// What config.json says of families: either spelling is read, and what is not implemented is refused.
@Suite struct FamilyConfigurationTests {
    private static func configuration(
        _ fixture: String, _ changes: [(key: String, value: JSON?)] = []
    ) throws -> ModelConfiguration {
        var members = try FamilyFixture(fixture).checkpoint.configuration.objectValue!
        for (key, value) in changes { members[key] = value }
        return try ModelConfiguration(.object(members))
    }

    @Test(
        arguments: [
            ("opt", "layer_norm_elementwise_affine", false, "true", "false"),
            ("opt", "activation_function", "tanh", "\"relu\", \"gelu\" or \"gelu_new\"", "\"tanh\""),
            ("opt", "num_attention_heads", 5, "a divisor of the width, 32", "5"),
            ("opt", "enable_bias", "yes", "true or false", "\"yes\""),
            ("opt", "word_embed_proj_dim", 0, "an integer in 1...1048576", "0"),
            ("gpt2", "scale_attn_weights", false, "true", "false"),
            ("gpt2", "scale_attn_by_inverse_layer_idx", true, "false", "true"),
            ("gpt2", "add_cross_attention", true, "false", "true"),
            ("gpt2", "layer_norm_epsilon", 0, "between 0 and 1", "0.0"),
            ("gpt2", "n_embd", nil, "an integer", "no entry"),
            ("gpt2", "n_inner", -1, "an integer in 1...1048576", "-1"),
            ("mistral", "attention_bias", true, "false", "true"),
            ("mistral", "sliding_window", 0, "an integer in 1...1073741824", "0"),
            (
                "mistral", "layer_types", ["full_attention", "sliding_attention"], "a window in every layer",
                "some without"
            ),
            (
                "qwen2", "layer_types", ["full_attention", "sliding_attention"],
                "full attention where no window is set", "sliding_attention"
            ),
            (
                "qwen2", "layer_types", ["full_attention"],
                "full_attention or sliding_attention for each of 2 layers", "[\"full_attention\"]"
            ),
            (
                "qwen3", "layer_types", ["full_attention", "linear_attention"],
                "full_attention or sliding_attention for each of 2 layers",
                "[\"full_attention\",\"linear_attention\"]"
            ),
            ("qwen3", "hidden_act", "gelu", "\"silu\" or \"gelu_pytorch_tanh\"", "\"gelu\""),
            ("gemma2", "use_bidirectional_attention", true, "false", "true"),
            ("gemma2", "attn_logit_softcapping", 0, "a number in 1e-6...1e12", "0"),
            ("gemma2", "final_logit_softcapping", "30", "a number in 1e-6...1e12", "\"30\""),
            ("gemma2", "query_pre_attn_scalar", -1, "a number in 1e-6...1e12", "-1"),
            ("gemma2", "hidden_activation", "gelu", "\"silu\" or \"gelu_pytorch_tanh\"", "\"gelu\""),
            ("gemma3", "sliding_window_pattern", 0, "an integer in 1...1048576", "0"),
            ("gemma3-vision", "rope_local_base_freq", 0, "a number in 1e-6...1e12", "0"),
            ("phi3", "partial_rotary_factor", 0.75, "1", "0.75"),
            (
                "phi3", "rope_scaling", ["type": "longrope", "short_factor": [1], "long_factor": [1]],
                "short_factor", "4 numbers, for heads of 8\u{0}1"
            ),
            ("smollm3", "no_rope_layers", [1, 0], "0 or 1 for each of 3 layers", "[1,0]"),
            ("smollm3", "no_rope_layers", [1, 2, 0], "0 or 1 for each of 3 layers", "[1,2,0]"),
            (
                "llama-biases", "rope_parameters", ["full_attention": ["rope_theta": 1.0]], "the same for all layers",
                "\"full_attention\""
            ),
        ] as [(String, String, JSON?, String, String)])
    func refusesWhatIsNotImplemented(
        fixture: String, key: String, value: JSON?, expected: String, found: String
    ) {
        // The kind of a scaling is named by its own key.
        let parts = found.split(separator: "\u{0}").map(String.init)
        let error =
            parts.count == 2
            ? ModelError("\(expected) in config.json", expected: parts[0], found: parts[1])
            : ModelError("\(key) in config.json", expected: expected, found: found)
        #expect(throws: error) { try Self.configuration(fixture, [(key, value)]) }
    }

    @Test func readsEitherSpellingOfTheRotaryBase() throws {
        let old = try Self.configuration("mistral", [("rope_theta", 5000.0)])
        let new = try Self.configuration(
            "qwen2", [("rope_parameters", ["rope_type": "default", "rope_theta": 5000.0])])
        #expect(old.rotary?.base == 5000 && new.rotary?.base == 5000)
        #expect(try Self.configuration("mistral", [("rope_theta", nil)]).rotary?.base == 10_000)
        let without = try Self.configuration("smollm3", [("rope_parameters", nil), ("rope_theta", nil)])
        #expect(without.rotary?.base == 2_000_000)
    }

    /// What transformers takes where config.json says nothing.
    @Test func hasTheDefaultsOfEachFamily() throws {
        #expect(try Self.configuration("qwen3", [("head_dim", nil)]).headSize == 128)
        #expect(try Self.configuration("qwen2", [("head_dim", nil)]).headSize == 8)
        #expect(try Self.configuration("gpt2", [("n_inner", nil)]).intermediateSize == 128)
        #expect(try Self.configuration("gpt2", [("activation_function", nil)]).activation == .geluTanh)
        #expect(try Self.configuration("opt", [("activation_function", nil)]).activation == .relu)
        for (fixture, ties) in [("gpt2", true), ("opt", true), ("smollm3", true), ("qwen2", false), ("phi3", false)] {
            #expect(try Self.configuration(fixture, [("tie_word_embeddings", nil)]).tiesHead == ties, "\(fixture)")
        }
        let large: [(key: String, value: JSON?)] = [("max_position_embeddings", 32_768), ("sliding_window", nil)]
        #expect(try Self.configuration("mistral", large).window(layer: 1) == 4096)
        #expect(try Self.configuration("phi3", large).window(layer: 1) == nil)
    }

    @Test func knowsWhichLayersHaveAWindow() throws {
        func windows(_ fixture: String, _ changes: [(key: String, value: JSON?)]) throws -> [Int?] {
            let configuration = try Self.configuration(fixture, changes)
            return (0..<configuration.layerCount).map { configuration.window(layer: $0) }
        }
        #expect(try windows("mistral", [("sliding_window", 7)]) == [7, 7])
        #expect(try windows("mistral", [("sliding_window", .null)]) == [nil, nil])
        // A window that is no shorter than the longest context hides nothing.
        #expect(try windows("mistral", [("sliding_window", 512)]) == [nil, nil])
        #expect(try windows("mistral", [("sliding_window", 511)]) == [511, 511])
        #expect(try windows("qwen2-window", []) == [nil, 5])
        #expect(try windows("qwen2-window", [("use_sliding_window", false), ("layer_types", nil)]) == [nil, nil])
        #expect(try windows("qwen2-window", [("max_window_layers", 0), ("layer_types", nil)]) == [5, 5])
        let types: JSON = ["sliding_attention", "full_attention"]
        #expect(try windows("qwen2-window", [("layer_types", types)]) == [5, nil])
        let sliding: [(key: String, value: JSON?)] = [
            ("use_sliding_window", true), ("sliding_window", 9), ("layer_types", nil),
        ]
        #expect(try windows("smollm3", sliding) == [nil, 9, nil])
    }

    @Test func knowsWhichLayersRotate() throws {
        func rotating(_ fixture: String, _ changes: [(key: String, value: JSON?)]) throws -> [Bool] {
            let configuration = try Self.configuration(fixture, changes)
            return (0..<configuration.layerCount).map { configuration.rotates(layer: $0) }
        }
        #expect(try rotating("smollm3", []) == [true, false, true])
        #expect(try rotating("smollm3", [("no_rope_layers", nil)]) == [true, false, true])
        let without: [(key: String, value: JSON?)] = [("no_rope_layers", nil), ("no_rope_layer_interval", nil)]
        #expect(try rotating("smollm3", without) == [true, true, true])
        #expect(try rotating("smollm3", [("no_rope_layers", [0, 1, 0, 0])]) == [false, true, false])
        #expect(try rotating("opt", []) == [false, false])
    }

    /// What files of Gemma 3 leave out, the class of transformers says.
    @Test func fillsInWhatGemmaLeavesOut() throws {
        let gemma = try ModelConfiguration([
            "model_type": "gemma3_text", "hidden_size": 2560, "intermediate_size": 10240, "num_hidden_layers": 34,
            "rope_scaling": ["factor": 8.0, "rope_type": "linear"], "sliding_window": 1024, "torch_dtype": "bfloat16",
        ])
        #expect(gemma.headCount == 8 && gemma.keyValueHeadCount == 4 && gemma.headSize == 256 && gemma.tiesHead)
        #expect(gemma.vocabularySize == 262_208 && gemma.maximumContext == 131_072)
        #expect(gemma.window(layer: 4) == 1024 && gemma.window(layer: 5) == nil)
        #expect(gemma.rotation(layer: 4) == 1 && gemma.rotation(layer: 5) == 0)
        #expect(gemma.rotaries.map(\.base) == [1_000_000, 10_000])
        #expect(gemma.rotaries.map(\.scaling) == [.linear(factor: 8), .none])
        // The root of 2560 in bf16.
        #expect(gemma.embeddingScale == 50.5 && gemma.attentionScale == 1.0 / 16)
        #expect(gemma.attentionCap == nil && gemma.logitCap == nil)
        // An entry that is null says that there is none.
        let caps = ["attn_logit_softcapping", "final_logit_softcapping"]
        let without = try Self.configuration("gemma2", caps.map { ($0, .null) })
        #expect(without.attentionCap == nil && without.logitCap == nil)
        let missing = try Self.configuration("gemma2", caps.map { ($0, nil) })
        #expect(missing.attentionCap == 50 && missing.logitCap == 30)
    }

    @Test func refusesAnIntervalOfNoLayers() throws {
        let error = ModelError(
            "no_rope_layer_interval in config.json", expected: "an integer in 1...1048576", found: "0")
        #expect(throws: error) {
            try Self.configuration("smollm3", [("no_rope_layers", nil), ("no_rope_layer_interval", 0)])
        }
    }

    @Test func knowsWhereNormsStand() throws {
        #expect(try Self.configuration("opt").hasFinalNorm)
        #expect(try !Self.configuration("opt", [("_remove_final_layer_norm", true)]).hasFinalNorm)
        let post = try Self.configuration("opt-post-norm")
        #expect(!post.normsBefore && !post.hasFinalNorm && post.embeddingSize == 20)
        #expect(try Self.configuration("opt", [("word_embed_proj_dim", nil)]).embeddingSize == 32)
    }
}
