/// A model family as data: what distinguishes its decoder from the others', and how its tensors are called.
///
/// One decoder serves all families; a new one is a row in ``all``. A flag exists only once some family needs it.
public struct Family: Sendable {
    /// `model_type` in config.json.
    public let name: String
    /// Tensor names outside the layers.
    public let embedding: String
    public let finalNorm: String
    public let head: String
    /// Tensor names within a layer, behind ``layerPrefix(_:)``.
    public let inputNorm: String
    public let queryProjection: String
    public let keyProjection: String
    public let valueProjection: String
    public let outputProjection: String
    public let postAttentionNorm: String
    public let gateProjection: String
    public let upProjection: String
    public let downProjection: String
    private let layerPath: String

    public static let all = [llama]

    static let llama = Family(
        name: "llama", embedding: "model.embed_tokens.weight", finalNorm: "model.norm.weight",
        head: "lm_head.weight", inputNorm: "input_layernorm.weight", queryProjection: "self_attn.q_proj.weight",
        keyProjection: "self_attn.k_proj.weight", valueProjection: "self_attn.v_proj.weight",
        outputProjection: "self_attn.o_proj.weight", postAttentionNorm: "post_attention_layernorm.weight",
        gateProjection: "mlp.gate_proj.weight", upProjection: "mlp.up_proj.weight",
        downProjection: "mlp.down_proj.weight", layerPath: "model.layers.")

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

    /// The projections of one layer, the only matrices that are pruned and packed, in the order of their use.
    public func projections(layer index: Int) -> [String] {
        [
            queryProjection, keyProjection, valueProjection, outputProjection, gateProjection, upProjection,
            downProjection,
        ].map { layerPrefix(index) + $0 }
    }
}
