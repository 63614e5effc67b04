public import OrderedJSON

extension TokenizerDefinition {
    /// The tokenizer of a folder with `vocab.json` and `merges.txt` but no `tokenizer.json`: GPT-2's, OPT's or Qwen2's.
    /// - Parameters:
    ///   - vocabulary: the contents of `vocab.json`: ids by texts in the byte-level alphabet; an object, or the list
    ///     that ``OrderedJSON/JSON/init(parsing:listing:)`` makes of one.
    ///   - merges: the contents of `merges.txt`: a line for each, behind one with the version.
    ///   - configuration: the contents of `tokenizer_config.json`, if there is one.
    ///   - specialTokens: the contents of `special_tokens_map.json`, if there is one; what the configuration says goes
    ///     before it.
    ///   - addedTokens: the contents of `added_tokens.json`, if there is one.
    /// - Throws: `TokenizerError`.
    public init(
        vocabulary: JSON, merges: String, configuration: JSON? = nil, specialTokens: JSON? = nil,
        addedTokens: JSON? = nil
    ) throws(TokenizerError) {
        let tokens = try HuggingFaceModel.tokens(vocabulary, name: "vocab.json")
        let settings = TokenizerDefinition.joined(configuration, specialTokens)
        let file = try ComponentReader(settings, name: "tokenizer_config.json")
        var options = try TokenizerDefinition.options(tokenizerClass: file.string("tokenizer_class"))
        options.addsPrefixSpace = try file.bool("add_prefix_space", default: false)
        var added: [AddedToken] = []
        try AddedToken.extend(&added, with: addedTokens)
        try AddedToken.update(&added, from: settings)
        func id(_ text: String) -> Int? {
            added.first { $0.content.utf8.elementsEqual(text.utf8) }?.id
                ?? tokens.firstIndex { $0?.utf8.elementsEqual(text.utf8) ?? false }
        }
        let specials = try AddedToken.specials(in: settings, id: id)
        AddedToken.join(&added, specials)
        var roles = try TokenRoles(configuration: settings, template: TokenTemplate(), id: id)
        let fallback = id("<|endoftext|>")
        roles.beginningOfText = roles.beginningOfText ?? fallback
        roles.endOfText = roles.endOfText ?? fallback
        for id in Set([roles.beginningOfText, roles.endOfText, roles.unknown, roles.padding].compactMap(\.self))
        where !added.contains(where: { $0.id == id }) && tokens.indices.contains(id) {
            if let content = tokens[id] { added.append(AddedToken(id: id, content: content)) }
        }
        var lines = merges.split(whereSeparator: \.isNewline).map(String.init)
        if lines.first?.hasPrefix("#version") == true { lines.removeFirst() }
        try self.init(tokens: tokens, merges: lines, addedTokens: added, roles: roles, options: options)
    }

    private static func options(tokenizerClass name: String?) throws(TokenizerError) -> TokenizerOptions {
        switch name {
        case nil, "GPT2Tokenizer", "GPT2TokenizerFast": TokenizerOptions(preTokenizer: .gpt2)
        case "Qwen2Tokenizer", "Qwen2TokenizerFast":
            TokenizerOptions(preTokenizer: .qwen2, normalizer: .canonicalComposition)
        case let name?:
            throw TokenizerError(
                "tokenizer_config.json: the tokenizer_class \(name.quoted) with vocab.json and merges.txt is unknown, "
                    + "expected GPT2Tokenizer or Qwen2Tokenizer")
        }
    }

    /// The members of both; the first's go before.
    private static func joined(_ configuration: JSON?, _ specialTokens: JSON?) -> JSON {
        guard case .object(var members) = configuration ?? [:], let others = specialTokens?.objectValue else {
            return configuration ?? [:]
        }
        for (key, value) in others where members[key] == nil || members[key]!.isNull { members[key] = value }
        return .object(members)
    }
}
