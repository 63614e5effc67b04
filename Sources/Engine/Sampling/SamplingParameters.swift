/// How the next token is chosen from the model's logits. Always valid: the initializer checks every value.
///
/// The defaults choose greedily: always the most probable token. The steps apply in this order, which is Hugging Face
/// transformers' (vLLM has min-p before top-k, llama.cpp has temperature last):
///
/// 1. penalties, 2. temperature, 3. top-k, 4. top-p, 5. min-p, 6. a draw from what is left.
///
/// Temperature comes before top-p because the share of probability that top-p keeps is meant of the distribution that
/// is drawn from. Top-p takes its share of what top-k left. Min-p compares with the most probable token, which every
/// filter keeps, so that its place only decides whether top-p's share counts the tokens that min-p removes.
public struct SamplingParameters: Sendable, Equatable {
    /// Divides the logits. 0, the default: greedy, and top-k, top-p, min-p and the seed have no effect. 1: as trained.
    public let temperature: Double
    /// Keeps this many most probable tokens; of equal ones, those with the lowest number. 0, the default: all.
    public let topK: Int
    /// Keeps the most probable tokens until their probabilities add up to this share. 1, the default: all.
    public let topP: Double
    /// Keeps tokens at least this times as probable as the most probable one. 0, the default: all.
    public let minP: Double
    /// Divides positive and multiplies negative logits of tokens that stand in the prompt or were generated (Keskar et
    /// al., arXiv:1909.05858, as in transformers). 1, the default: no penalty.
    public let repetitionPenalty: Double
    /// Subtracted from the logits of tokens that were generated (OpenAI, vLLM). 0, the default: no penalty.
    public let presencePenalty: Double
    /// Subtracted from a token's logit as often as it was generated (OpenAI, vLLM). 0, the default: no penalty.
    public let frequencyPenalty: Double
    /// Makes the draws repeatable. nil, the default: the sampler takes a seed from the system.
    public let seed: UInt64?

    /// The most probable token, always.
    public static let greedy = try! SamplingParameters()

    /// - Throws: `SamplingParameterError` for the first value outside its range.
    public init(
        temperature: Double = 0, topK: Int = 0, topP: Double = 1, minP: Double = 0, repetitionPenalty: Double = 1,
        presencePenalty: Double = 0, frequencyPenalty: Double = 0, seed: UInt64? = nil
    ) throws(SamplingParameterError) {
        func check(
            _ parameter: SamplingParameterError.Parameter, _ value: Double, _ isValid: Bool, _ expected: String
        ) throws(SamplingParameterError) {
            guard isValid && value.isFinite else {
                throw SamplingParameterError(parameter: parameter, expected: expected, found: "\(value)")
            }
        }
        try check(.temperature, temperature, temperature >= 0, "a finite number, 0 or more")
        guard topK >= 0 else {
            throw SamplingParameterError(parameter: .topK, expected: "0 (no limit) or more", found: "\(topK)")
        }
        try check(.topP, topP, topP > 0 && topP <= 1, "more than 0 and at most 1")
        try check(.minP, minP, minP >= 0 && minP <= 1, "between 0 and 1")
        // The bounds keep a penalised logit finite.
        try check(
            .repetitionPenalty, repetitionPenalty, repetitionPenalty >= 0.001 && repetitionPenalty <= 1000,
            "between 0.001 and 1000")
        try check(.presencePenalty, presencePenalty, abs(presencePenalty) <= 2, "between -2 and 2")
        try check(.frequencyPenalty, frequencyPenalty, abs(frequencyPenalty) <= 2, "between -2 and 2")
        self.temperature = temperature
        self.topK = topK
        self.topP = topP
        self.minP = minP
        self.repetitionPenalty = repetitionPenalty
        self.presencePenalty = presencePenalty
        self.frequencyPenalty = frequencyPenalty
        self.seed = seed
    }

    /// Whether the most probable token is always chosen, without a draw.
    public var isGreedy: Bool { temperature == 0 }

    /// Whether tokens that came before change the logits.
    var hasPenalties: Bool { repetitionPenalty != 1 || presencePenalty != 0 || frequencyPenalty != 0 }
}

/// A sampling parameter outside its range.
public struct SamplingParameterError: Error, Equatable, CustomStringConvertible {
    /// A parameter, by its name in OpenAI's interface as vLLM extends it.
    public enum Parameter: String, Sendable {
        case temperature
        case topK = "top_k"
        case topP = "top_p"
        case minP = "min_p"
        case repetitionPenalty = "repetition_penalty"
        case presencePenalty = "presence_penalty"
        case frequencyPenalty = "frequency_penalty"
    }

    public let parameter: Parameter
    public let expected: String
    public let found: String

    public var description: String { "\(parameter.rawValue) must be \(expected), but is \(found)" }
}
