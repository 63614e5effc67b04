#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// How well a model predicts a text: the exponential of the mean negative log-likelihood of its tokens.
public struct Perplexity: Sendable, Equatable {
    /// Tokens that were predicted.
    public let scoredTokens: Int
    /// In nats per token.
    public let meanNegativeLogLikelihood: Double
    /// Standard error of ``meanNegativeLogLikelihood``: `sqrt(variance / scoredTokens)`, where the variance is the sum
    /// of squared deviations divided by `scoredTokens - 1`. It takes the tokens as independent, as llama.cpp does;
    /// those of one text are not quite, so it is a little too small. nil if fewer than two tokens were scored, or if
    /// one of them had probability 0.
    public let meanStandardError: Double?

    /// `e^(mean negative log-likelihood)`; infinite if a token had probability 0.
    public var perplexity: Double { exp(meanNegativeLogLikelihood) }

    /// Standard error of ``perplexity`` by the delta method: the mean's error times the derivative of `e^mean`, which
    /// is the perplexity itself. nil where the mean's is.
    public var standardError: Double? { meanStandardError.map { $0 * perplexity } }
}

/// Adds up the negative log-likelihoods of a text's tokens, in Double.
///
/// Mean and squared deviations are updated token by token, which loses no digits however many tokens there are.
/// Source: Welford, "Note on a method for calculating corrected sums of squares and products", Technometrics 4, 1962.
public struct PerplexityAccumulator: Sendable {
    private var scoredTokens = 0
    private var mean = 0.0
    private var squaredDeviations = 0.0

    public init() {}

    /// Adds one token's negative log-likelihood, in nats.
    /// - Precondition: it is not NaN.
    public mutating func add(_ negativeLogLikelihood: Double) {
        precondition(!negativeLogLikelihood.isNaN, "a negative log-likelihood is not a number")
        scoredTokens += 1
        guard mean.isFinite && negativeLogLikelihood.isFinite else {
            mean = .infinity
            return
        }
        let deviation = negativeLogLikelihood - mean
        mean += deviation / Double(scoredTokens)
        squaredDeviations += deviation * (negativeLogLikelihood - mean)
    }

    /// Adds the negative log-likelihoods of one window's tokens, in nats.
    public mutating func add(window negativeLogLikelihoods: some Sequence<Double>) {
        for negativeLogLikelihood in negativeLogLikelihoods { add(negativeLogLikelihood) }
    }

    /// The perplexity of what was added so far; nil if that is nothing.
    public var result: Perplexity? {
        guard scoredTokens > 0 else { return nil }
        let count = Double(scoredTokens)
        let isKnown = scoredTokens > 1 && mean.isFinite
        return Perplexity(
            scoredTokens: scoredTokens, meanNegativeLogLikelihood: mean,
            meanStandardError: isKnown ? (squaredDeviations / (count - 1) / count).squareRoot() : nil)
    }
}
