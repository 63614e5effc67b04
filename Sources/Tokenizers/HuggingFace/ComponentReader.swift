import OrderedJSON

/// An object of tokenizer.json with its name, so that whatever is not understood can be refused by name.
struct ComponentReader {
    let name: String
    private let json: JSON

    init(_ json: JSON, name: String, knownKeys: [String]? = nil) throws(TokenizerError) {
        guard json.objectValue != nil else { throw TokenizerError("\(name) is \(json.kindName), expected an object") }
        self.json = json
        self.name = name
        if let knownKeys { try check(knownKeys: knownKeys) }
    }

    /// The value behind `key`; null if there is none.
    func member(_ key: String) -> JSON { json[key] ?? .null }

    var type: String? { json["type"]?.stringValue }

    /// Refuses keys that could change ids in ways we don't know of.
    func check(knownKeys: [String]) throws(TokenizerError) {
        for key in json.objectValue?.keys ?? [] where key != "type" && !knownKeys.contains(key) {
            throw TokenizerError("\(name) has the unknown key \(key.quoted)")
        }
    }

    func require(type expected: String, knownKeys: [String]? = nil) throws(TokenizerError) {
        guard type == expected else { throw unknownType(expected: expected) }
        if let knownKeys { try check(knownKeys: knownKeys) }
    }

    func unknownType(expected: String) -> TokenizerError {
        TokenizerError("\(name) has \(type.map { "the type \($0.quoted)" } ?? "no type"), expected \(expected)")
    }

    func bool(_ key: String, default fallback: Bool) throws(TokenizerError) -> Bool {
        let value = member(key)
        if value.isNull { return fallback }
        guard let bool = value.boolValue else {
            throw TokenizerError("\(name).\(key) is \(value.kindName), expected a boolean")
        }
        return bool
    }

    /// The text behind `key`; nil if it is null or absent.
    func string(_ key: String) throws(TokenizerError) -> String? {
        let value = member(key)
        if value.isNull { return nil }
        guard let string = value.stringValue else {
            throw TokenizerError("\(name).\(key) is \(value.kindName), expected a text")
        }
        return string
    }

    func requiredString(_ key: String) throws(TokenizerError) -> String {
        guard let text = try string(key) else { throw TokenizerError("\(name) has no \(key)") }
        return text
    }

    /// The list behind `key`; empty if it is null or absent.
    func array(_ key: String) throws(TokenizerError) -> [JSON] {
        let value = member(key)
        if value.isNull { return [] }
        guard let array = value.arrayValue else {
            throw TokenizerError("\(name).\(key) is \(value.kindName), expected an array")
        }
        return array
    }

    /// The steps of a component that may be null, a single step or a (nested) `Sequence` of steps.
    static func flattened(_ json: JSON, name: String, sequenceKey: String) throws(TokenizerError) -> [ComponentReader] {
        if json.isNull { return [] }
        let component = try ComponentReader(json, name: name)
        guard component.type == "Sequence" else { return [component] }
        try component.check(knownKeys: [sequenceKey])
        var steps: [ComponentReader] = []
        for (index, step) in try component.array(sequenceKey).enumerated() {
            steps += try flattened(step, name: "\(name).\(sequenceKey)[\(index)]", sequenceKey: sequenceKey)
        }
        return steps
    }
}
