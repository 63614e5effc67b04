/// Why a text cannot be generated.
public enum EngineError: Error, Equatable, CustomStringConvertible {
    case emptyPrompt
    case promptTooLong(tokens: Int, limit: Int)
    case noChatTemplate

    public var description: String {
        switch self {
        case .emptyPrompt: "the prompt has no tokens, expected at least one"
        case .promptTooLong(let tokens, let limit):
            "the prompt has \(tokens) tokens, expected at most \(limit), one less than the context"
        case .noChatTemplate: "the model has no chat template: use --raw to continue a text"
        }
    }
}
