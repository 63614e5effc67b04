import OrderedJSON

extension GGUFArchitecture {
    /// The row of the table for a Hugging Face configuration; nil if there is none.
    static func describing(_ configuration: JSON) -> GGUFArchitecture? {
        configuration["model_type"]?.stringValue.flatMap { type in all.first { $0.modelTypes.contains(type) } }
    }

    /// GGUF's name for the tensor that Hugging Face calls `name`, and whose heads' rows ggml wants interleaved; nil
    /// where the table has none.
    func storedName(of name: String) -> (name: String, heads: Heads?)? {
        var parts = name.split(separator: ".", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 2 else { return nil }
        let suffix = parts.removeLast()
        guard suffix == "weight" || suffix == "bias" else { return nil }
        let layer = parts.first { part in Int(part).map { $0 >= 0 && String($0) == part } ?? false }
        let module = parts.map { $0 == layer ? "*" : $0 }.joined(separator: ".")
        guard let stored = modules.first(where: { $0.value == module })?.key else { return nil }
        let path = stored.split(separator: ".").map { $0 == "*" ? layer ?? "" : String($0) }.joined(separator: ".")
        return ("\(path).\(suffix)", interleaved[stored])
    }
}
