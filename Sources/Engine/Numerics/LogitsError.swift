/// Logits from which no probabilities follow: the model or its weights are broken.
public enum LogitsError: Error, Equatable, CustomStringConvertible {
    /// The logit of this token is NaN.
    case notANumber(token: Int32)
    /// The logit of this token is positive infinity.
    case infinite(token: Int32)
    /// Every logit is negative infinity, so no token is possible.
    case nothingPossible

    public var description: String {
        switch self {
        case .notANumber(let token): "the model's logit of token \(token) is not a number"
        case .infinite(let token): "the model's logit of token \(token) is infinite"
        case .nothingPossible: "the model's logits are all negative infinity, so that no token is possible"
        }
    }
}
