/// Why a chat template cannot be parsed or rendered, and the line of the template where that showed.
public struct ChatTemplateError: Error, Equatable, Sendable, CustomStringConvertible {
    public enum Kind: Sendable, Equatable {
        /// The text is not a template we can read: broken syntax, an unknown tag or an unknown filter.
        case syntax
        /// The template asks for something its values do not offer, such as the attribute of an undefined value.
        case evaluation
        /// The template itself refused the conversation with `raise_exception`; `message` is what it said.
        case raised
        /// The template asked for more work, memory or depth than ``ChatTemplate/Limits`` allow.
        case limit
    }

    public let kind: Kind
    /// Line of the template, counted from 1.
    public let line: Int
    public let message: String

    public init(kind: Kind, line: Int, message: String) {
        self.kind = kind
        self.line = line
        self.message = message
    }

    public var description: String {
        switch kind {
        case .raised: "the chat template refused the conversation (line \(line)): \(message)"
        default: "chat template, line \(line): \(message)"
        }
    }
}
