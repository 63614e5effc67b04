/// Why a text ended.
public enum FinishReason: Sendable, Hashable {
    /// The model chose a token that ends its answer.
    case endToken(Int32)
    /// The text contained this stop string; it and what followed were dropped.
    case stopString(String)
    /// As many tokens were generated as were asked for.
    case tokenLimit
    /// The model's context, or the KV cache made for it, is full.
    case contextLimit

    /// The name in OpenAI's interface: `stop` or `length`.
    public var openAIName: String {
        switch self {
        case .endToken, .stopString: "stop"
        case .tokenLimit, .contextLimit: "length"
        }
    }
}
