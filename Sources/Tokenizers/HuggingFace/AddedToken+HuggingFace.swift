import OrderedJSON

extension AddedToken {
    /// - Parameter id: the token's id where it is not its member `id`.
    init(_ token: ComponentReader, id: Int? = nil) throws(TokenizerError) {
        try token.check(
            knownKeys: ["id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"])
        guard let id = id ?? token.member("id").intValue, let content = try token.string("content") else {
            throw TokenizerError("\(token.name) has no id or no content")
        }
        self.init(
            id: id, content: content, isSpecial: try token.bool("special", default: false),
            stripsLeft: try token.bool("lstrip", default: false), stripsRight: try token.bool("rstrip", default: false),
            isSingleWord: try token.bool("single_word", default: false),
            isNormalized: try token.bool("normalized", default: false))
    }

    /// Takes over the added tokens that a tokenizer_config.json lists by their ids.
    static func update(_ added: inout [AddedToken], from configuration: JSON) throws(TokenizerError) {
        let file = try ComponentReader(configuration, name: "tokenizer_config.json")
        let name = "added_tokens_decoder"
        guard !file.member(name).isNull else { return }
        guard let members = file.member(name).objectValue else {
            throw TokenizerError("\(file.name): \(name) is \(file.member(name).kindName), expected an object")
        }
        var indices = Dictionary(added.enumerated().map { ($1.id, $0) }) { first, _ in first }
        for (key, value) in members {
            guard let id = Int(key) else {
                throw TokenizerError("\(file.name): \(name) has the key \(key.quoted), expected an id")
            }
            let token = try AddedToken(ComponentReader(value, name: "\(name)[\(key.quoted)]"), id: id)
            if let index = indices[id] {
                added[index] = token
            } else {
                indices[id] = added.count
                added.append(token)
            }
        }
    }

    /// More special tokens in one list are refused: each is searched for.
    private static let maximumNamedCount = 10_000

    /// The special tokens that a tokenizer_config.json or special_tokens_map.json names without their ids.
    /// - Parameter id: finds a token by its text.
    static func specials(
        in settings: JSON?, id: (String) -> Int?
    ) throws(TokenizerError) -> [(id: Int, content: String)] {
        var specials: [(id: Int, content: String)] = []
        for key in ["additional_special_tokens", "extra_special_tokens"] {
            guard let list = settings?[key], !list.isNull else { continue }
            // Newer files give some of them names.
            guard let values = list.arrayValue ?? list.objectValue.map({ Array($0.values) }) else {
                throw TokenizerError("\(key) is \(list.kindName), expected a list")
            }
            guard values.count <= maximumNamedCount else {
                throw TokenizerError("\(key) has \(values.count) tokens, expected at most \(maximumNamedCount)")
            }
            for value in values {
                guard let content = value.stringValue ?? value["content"]?.stringValue else {
                    throw TokenizerError("\(key) has \(value.kindName), expected a text or an object with content")
                }
                guard let id = id(content) else {
                    throw TokenizerError("the special token \(content.quoted) of \(key) is not in the vocabulary")
                }
                specials.append((id, content))
            }
        }
        return specials
    }

    /// Adds special tokens; those that are there already become special.
    static func join(_ added: inout [AddedToken], _ specials: [(id: Int, content: String)]) {
        for (id, content) in specials {
            if let index = added.firstIndex(where: { $0.id == id }) {
                added[index].isSpecial = true
            } else {
                added.append(AddedToken(id: id, content: content))
            }
        }
    }
}
