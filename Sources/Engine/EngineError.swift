/// Why a text cannot be generated.
public enum EngineError: Error, Equatable, CustomStringConvertible {
    case emptyPrompt
    case promptTooLong(tokens: Int, limit: Int)
    case noChatTemplate
    /// A text can begin with nothing.
    case noBeginning

    public var description: String {
        switch self {
        case .emptyPrompt: "the prompt has no tokens, expected at least one"
        case .promptTooLong(let tokens, let limit):
            "the prompt has \(tokens) tokens, expected at most \(limit), one less than the context"
        case .noChatTemplate: "the model has no chat template: use --raw to continue a text"
        case .noBeginning: "the model has no beginning-of-text token and no end-of-text token to begin a text with"
        }
    }
}
