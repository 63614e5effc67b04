public import OrderedJSON

/// One turn of a conversation.
public struct ChatMessage: Sendable, Equatable {
    /// Who speaks: "system", "user", "assistant", "tool", or whatever else the template knows.
    public let role: String
    public let content: String

    public init(role: String, content: String) {
        self.role = role
        self.content = content
    }

    /// The message as templates see it.
    public var json: JSON { ["role": .string(role), "content": .string(content)] }
}
