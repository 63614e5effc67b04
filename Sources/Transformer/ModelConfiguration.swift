public import OrderedJSON

/// The sizes and constants of a decoder, checked and limited, from a Hugging Face `config.json`.
public struct ModelConfiguration: Sendable {
    public let family: Family
    /// Width of the residual stream.
    public let hiddenSize: Int
    /// Width of the MLP between its two products.
    public let intermediateSize: Int
    public let layerCount: Int
    public let headCount: Int
    /// Key-value heads; a divisor of ``headCount`` (grouped-query attention).
    public let keyValueHeadCount: Int
    /// Width of one head, independent of the hidden size.
    public let headSize: Int
    public let vocabularySize: Int
    /// Tokens of the longest sequence the model was made for.
    public let maximumContext: Int
    public let normEpsilon: Float
    public let rotary: RotaryParameters
    /// The head is the embedding table.
    public let tiesHead: Bool
    public let beginningID: Int?
    /// Tokens that end a text.
    public let endIDs: [Int]

    public var queryWidth: Int { headCount * headSize }
    public var keyValueWidth: Int { keyValueHeadCount * headSize }

    /// Limits far above every real model, so that no product of sizes can overflow or ask for absurd memory.
    private static let sizeLimit = 1 << 20
    private static let layerLimit = 1024
    private static let contextLimit = 1 << 24

    /// - Throws: `ModelError` naming the first entry that is missing, out of range or contradicts another.
    public init(_ json: JSON) throws(ModelError) {
        func integer(_ key: String, default fallback: Int? = nil, limit: Int = Self.sizeLimit) throws(ModelError) -> Int
        {
            guard let entry = json[key], !entry.isNull else {
                guard let fallback else {
                    throw ModelError("\(key) in config.json", expected: "an integer", found: "no entry")
                }
                return fallback
            }
            guard let value = entry.intValue, value >= 1, value <= limit else {
                throw ModelError("\(key) in config.json", expected: "an integer in 1...\(limit)", found: entry.text())
            }
            return value
        }
        func require(_ key: String, _ condition: Bool, expected: String, found: String) throws(ModelError) {
            if !condition { throw ModelError("\(key) in config.json", expected: expected, found: found) }
        }
        guard let type = json["model_type"]?.stringValue else {
            throw ModelError("model_type in config.json", expected: "a string", found: "no entry")
        }
        family = try Family.named(type)
        hiddenSize = try integer("hidden_size")
        intermediateSize = try integer("intermediate_size")
        layerCount = try integer("num_hidden_layers", limit: Self.layerLimit)
        headCount = try integer("num_attention_heads")
        keyValueHeadCount = try integer("num_key_value_heads", default: headCount)
        headSize = try integer("head_dim", default: max(hiddenSize / headCount, 1))
        vocabularySize = try integer("vocab_size", limit: 1 << 23)
        maximumContext = try integer("max_position_embeddings", default: 2048, limit: Self.contextLimit)
        try require(
            "num_key_value_heads", headCount % keyValueHeadCount == 0, expected: "a divisor of \(headCount) heads",
            found: "\(keyValueHeadCount)")
        try require("head_dim", headSize % 2 == 0 && headSize <= 4096, expected: "an even width", found: "\(headSize)")
        let epsilon = json["rms_norm_eps"]?.doubleValue ?? 1e-6
        try require("rms_norm_eps", epsilon > 0 && epsilon < 1, expected: "between 0 and 1", found: "\(epsilon)")
        normEpsilon = Float(epsilon)
        rotary = try RotaryParameters(json)
        tiesHead = json["tie_word_embeddings"]?.boolValue ?? false
        let activation = json["hidden_act"]?.stringValue ?? "silu"
        try require("hidden_act", activation == "silu", expected: "\"silu\"", found: "\"\(activation)\"")
        for key in ["attention_bias", "mlp_bias"] where json[key]?.boolValue == true {
            throw ModelError("\(key) in config.json", expected: "false", found: "true")
        }
        beginningID = json["bos_token_id"]?.intValue
        let ends = json["eos_token_id"]
        endIDs = ends?.arrayValue?.compactMap(\.intValue) ?? [ends?.intValue].compactMap(\.self)
    }
}
