import ArgumentParser
import Hub

/// The model that a command works on, as a person names it.
struct ModelArgument: ParsableArguments {
    @Argument(help: "The name of a pulled model ('owner/name' for the hub's), a GGUF file or a model folder.")
    var model: String

    /// Where the model lies.
    /// - Throws: `HubError` if it is a path to nothing, no known name, or a model that has not been pulled.
    func path(console: Console) throws(HubError) -> String { try Self.path(of: model, console: console) }

    /// Where the model that a person calls `name` lies.
    static func path(of name: String, console: Console) throws(HubError) -> String {
        try ModelCache(environment: console.environment).resolve(name).path
    }
}
