import OrderedJSON

/// A model family as data: what distinguishes its decoder from the others', and how its tensors are called.
///
/// One decoder serves all families; a new one is a row in ``all``, most of them llama with a few differences. A flag
/// exists only once some family needs it.
public struct Family: Sendable {
    public enum Norm: Sendable {
        /// By the root of the mean square, with a weight.
        case rms
        /// Around the mean, with a weight and a bias.
        case layer
    }

    enum Positions: Sendable {
        /// Queries and keys are rotated.
        case rotary(defaultBase: Double)
        /// A row of a table is added to the embedding: the one of the position plus `offset`.
        case learned(offset: Int)
    }

    /// Which layers look at a window of the last tokens only.
    enum Windows: Sendable {
        case none
        /// All, where `sliding_window` is set.
        case all(defaultSize: Int?)
        /// Where `use_sliding_window` is set: those of `layer_types`, or those from `max_window_layers` on.
        case upperLayers
        /// The same, or those that do not rotate.
        case layersWithoutRotation
        /// Those of `layer_types`, or all but one in so many, where `sliding_window_pattern` says no other number.
        case allButOneIn(Int)
    }

    /// A yes or no of a family: an entry of config.json, or without one always the same.
    struct Choice: Sendable {
        let key: String?
        let fallback: Bool

        static let always = Choice(key: nil, fallback: true)
        static let never = Choice(key: nil, fallback: false)
        static func entry(_ key: String, default fallback: Bool) -> Choice { Choice(key: key, fallback: fallback) }
    }

    /// Entries of config.json that families call differently.
    struct Keys: Sendable {
        var hiddenSize = "hidden_size"
        var intermediateSize = "intermediate_size"
        var layerCount = "num_hidden_layers"
        var headCount = "num_attention_heads"
        var maximumContext = "max_position_embeddings"
        var activation = "hidden_act"
        /// nil where it is the same for all models.
        var normEpsilon: String? = "rms_norm_eps"
        /// The width of the embedding table, if it may be another than ``hiddenSize``.
        var embeddingSize: String?
        /// What products of queries and keys are divided by, squared, if that may be another than the head size.
        var attentionScale: String?
        /// Soft caps of products of queries and keys, and of logits.
        var attentionCap: String?
        var logitCap: String?
    }

    /// `model_type` in config.json.
    public internal(set) var name: String
    public internal(set) var norm = Norm.rms
    var keys = Keys()
    var positions = Positions.rotary(defaultBase: 10_000)
    var windows = Windows.none
    var defaultNormEpsilon = 1e-6
    var tiesHeadByDefault = false
    /// Whether some heads may share keys and values.
    var hasKeyValueHeads = true
    /// nil if it is the hidden size divided by the heads.
    var defaultHeadSize: Int?
    /// The MLP's width, in hidden sizes, where config.json says none.
    var defaultIntermediateRatio: Int?
    var defaultActivation = "silu"
    var queryKeyValueBias = Choice.entry("attention_bias", default: false)
    var outputBias = Choice.entry("attention_bias", default: false)
    var mlpBias = Choice.entry("mlp_bias", default: false)
    /// Whether norms stand before attention and MLP; else behind what these are added to.
    var normsBefore = Choice.always
    /// What is added to the stored weights of all norms.
    public internal(set) var normOffset: Float = 0
    /// Whether embeddings are multiplied with the root of their width.
    var scalesEmbeddings = false
    /// The base by which layers with a window rotate, where it may be another.
    var defaultWindowBase: Double?
    /// What transformers takes where config.json says nothing, of entries that have no default of their own here.
    var defaults: [(key: String, value: JSON)] = []
    var omitsFinalNorm = Choice.never
    /// One layer in so many does not rotate, where config.json says nothing else; nil: all rotate.
    var defaultRotationInterval: Int?
    /// Entries that would change results and are not implemented, with the only value that they may have.
    var required: [(key: String, value: Bool)] = []

    /// Tensor names outside the layers.
    public internal(set) var embedding = "model.embed_tokens.weight"
    /// The table of learned positions.
    public internal(set) var positionTable: String?
    /// Matrices between the embedding table's width and the hidden size, where these differ.
    public internal(set) var embeddingProjection: String?
    public internal(set) var headProjection: String?
    public internal(set) var finalNorm = "model.norm.weight"
    public internal(set) var head = "lm_head.weight"
    /// Tensor names within a layer, behind ``layerPrefix(_:)``.
    var layerPath = "model.layers."
    public internal(set) var inputNorm = "input_layernorm.weight"
    public internal(set) var queryProjection = "self_attn.q_proj.weight"
    public internal(set) var keyProjection = "self_attn.k_proj.weight"
    public internal(set) var valueProjection = "self_attn.v_proj.weight"
    /// Norms of each head's query and key; nil if there are none.
    public internal(set) var queryNorm: String?
    public internal(set) var keyNorm: String?
    public internal(set) var outputProjection = "self_attn.o_proj.weight"
    public internal(set) var postAttentionNorm = "post_attention_layernorm.weight"
    /// Norms of what attention and MLP give, before that is added to the stream; nil if there are none.
    public internal(set) var attentionOutputNorm: String?
    public internal(set) var mlpOutputNorm: String?
    /// nil for an MLP without a gate.
    public internal(set) var gateProjection: String? = "mlp.gate_proj.weight"
    public internal(set) var upProjection = "mlp.up_proj.weight"
    public internal(set) var downProjection = "mlp.down_proj.weight"

    /// The row for a `model_type`.
    /// - Throws: `ModelError` naming the families there are.
    public static func named(_ name: String) throws(ModelError) -> Family {
        guard let family = all.first(where: { $0.name == name }) else {
            throw ModelError(
                "model_type in config.json", expected: "one of \(all.map(\.name).joined(separator: ", "))",
                found: "\"\(name)\"")
        }
        return family
    }

    public func layerPrefix(_ index: Int) -> String { "\(layerPath)\(index)." }

    /// The name of the bias beside a weight.
    public static func bias(of weight: String) -> String {
        let suffix = "weight"
        return weight.hasSuffix(suffix) ? weight.dropLast(suffix.count) + "bias" : weight + ".bias"
    }

    /// The projections of one layer, the only matrices that are pruned and packed, in the order of their use.
    public func projections(layer index: Int) -> [String] {
        [
            queryProjection, keyProjection, valueProjection, outputProjection, gateProjection, upProjection,
            downProjection,
        ].compactMap(\.self).map { layerPrefix(index) + $0 }
    }
}
