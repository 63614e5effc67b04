/// A text that must not be shown: printing it, or whatever holds it, shows that there is one and nothing else.
struct Secret: Sendable, Hashable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// For the one place that sends it.
    let text: String

    init(_ text: String) { self.text = text }

    var description: String { "a secret" }
    var debugDescription: String { description }
    var customMirror: Mirror { Mirror(self, children: []) }
}
