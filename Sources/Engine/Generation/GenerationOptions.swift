/// What a generation is asked for besides its prompt.
public struct GenerationOptions: Sendable {
    /// Tokens to generate at most.
    public var maximumTokens: Int
    public var sampling: SamplingParameters
    /// Strings that end the text; they are not part of it.
    public var stops: StopStrings
    /// Go on past the model's end tokens.
    public var ignoresEnd: Bool

    public init(
        maximumTokens: Int, sampling: SamplingParameters = .greedy, stops: StopStrings = .none, ignoresEnd: Bool = false
    ) {
        precondition(maximumTokens >= 1)
        self.maximumTokens = maximumTokens
        self.sampling = sampling
        self.stops = stops
        self.ignoresEnd = ignoresEnd
    }
}

/// A finished generation.
public struct Generation: Sendable {
    public let promptTokens: [Int32]
    /// Generated tokens, an end token included.
    public let tokens: [Int32]
    public let text: String
    public let finishReason: FinishReason
    /// Prompt tokens that had to be computed: those the cache did not hold yet.
    public let computedPromptTokens: Int
    public let promptSeconds: Double
    /// From the first generated token to the last: `tokens.count - 1` decoding steps.
    public let decodeSeconds: Double

    public var promptTokensPerSecond: Double { Double(computedPromptTokens) / promptSeconds }

    /// nil if no token followed the first.
    public var decodeTokensPerSecond: Double? {
        tokens.count > 1 ? Double(tokens.count - 1) / decodeSeconds : nil
    }
}
