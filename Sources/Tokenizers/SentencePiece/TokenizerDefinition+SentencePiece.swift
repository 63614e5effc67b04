public import OrderedJSON

extension TokenizerDefinition {
    /// The classes of `transformers` that use a `tokenizer.model` with its own ids.
    private static let sentencePieceClasses: Set<String> = [
        "LlamaTokenizer", "LlamaTokenizerFast", "CodeLlamaTokenizer", "CodeLlamaTokenizerFast", "GemmaTokenizer",
        "GemmaTokenizerFast", "PreTrainedTokenizerFast", "TokenizersBackend",
    ]

    /// The tokenizer of a folder that has a `tokenizer.model` of SentencePiece but no `tokenizer.json`.
    ///
    /// Control pieces become special tokens. A text begins with the beginning-of-text token if there is one, unless the
    /// configuration says otherwise, as in Llama and Gemma. The space in front comes behind special tokens, too, unless
    /// the configuration says `"legacy": false`.
    /// - Parameters:
    ///   - bytes: the contents of `tokenizer.model`.
    ///   - configuration: the contents of `tokenizer_config.json`, if there is one.
    ///   - addedTokens: the contents of `added_tokens.json`, if there is one: ids of tokens that the model lacks.
    /// - Throws: `TokenizerError`.
    public init(
        sentencePieceModel bytes: [UInt8], configuration: JSON? = nil, addedTokens: JSON? = nil
    ) throws(TokenizerError) {
        let file = try SentencePieceFile(bytes)
        if let name = configuration?["tokenizer_class"]?.stringValue, !Self.sentencePieceClasses.contains(name) {
            throw TokenizerError(
                "tokenizer_config.json: the tokenizer_class \(name.quoted) has ids of its own beside tokenizer.model, "
                    + "which are only known from a tokenizer.json")
        }
        var added = file.pieces.indices.filter { file.pieces[$0].type == .control }.map {
            AddedToken(id: $0, content: file.pieces[$0].text)
        }
        try AddedToken.extend(&added, with: addedTokens)
        if let configuration { try AddedToken.update(&added, from: configuration) }
        func id(_ text: String) -> Int? {
            added.first { $0.content.utf8.elementsEqual(text.utf8) }?.id
                ?? file.pieces.firstIndex { $0.text.utf8.elementsEqual(text.utf8) }
        }
        let specials = try AddedToken.specials(in: configuration, id: id)
        AddedToken.join(&added, specials)
        var roles = try TokenRoles(configuration: configuration, template: TokenTemplate(), id: id)
        func control(_ text: String) -> Int? {
            file.pieces.firstIndex { $0.type == .control && $0.text.utf8.elementsEqual(text.utf8) }
        }
        roles.beginningOfText = roles.beginningOfText ?? control(file.beginningPiece)
        roles.endOfText = roles.endOfText ?? control(file.endPiece)
        roles.padding = roles.padding ?? control(file.paddingPiece)
        roles.unknown = roles.unknown ?? file.pieces.firstIndex { $0.type == .unknown }
        roles.addsBeginningOfText = try TokenRoles.flag("add_bos_token", in: configuration, default: true)
        roles.addsEndOfText = try TokenRoles.flag("add_eos_token", in: configuration, default: false)
        if roles.beginningOfText == nil { roles.addsBeginningOfText = false }
        try self.init(
            sentencePiece: file, addedTokens: added, roles: roles,
            addsPrefixEverywhere: try TokenRoles.flag("legacy", in: configuration, default: true))
    }

    /// - Parameter tokens: the texts of the tokens where they are not those of the pieces.
    init(
        sentencePiece file: SentencePieceFile, tokens: [String]? = nil, addedTokens: [AddedToken], roles: TokenRoles,
        addsPrefixEverywhere: Bool
    ) throws(TokenizerError) {
        try self.init(
            tokens: tokens ?? file.pieces.map(\.text), spelling: .plain, addedTokens: addedTokens, roles: roles,
            pipeline: TextPipeline()
        ) { (vocabulary) throws(TokenizerError) in
            .sentencePiece(
                try SentencePieceModel(file, vocabulary: vocabulary, addsPrefixEverywhere: addsPrefixEverywhere))
        }
    }
}

extension AddedToken {
    /// Adds the tokens of an `added_tokens.json`: ids by texts.
    static func extend(_ added: inout [AddedToken], with json: JSON?) throws(TokenizerError) {
        guard let json else { return }
        guard let members = json.objectValue else {
            throw TokenizerError("added_tokens.json is \(json.kindName), expected an object")
        }
        let known = Set(added.map(\.id))
        for (content, value) in members {
            guard let id = value.intValue else {
                throw TokenizerError("added_tokens.json gives \(content.quoted) no id")
            }
            if !known.contains(id) { added.append(AddedToken(id: id, content: content, isSpecial: false)) }
        }
    }
}

extension TokenRoles {
    /// A boolean of tokenizer_config.json.
    static func flag(_ key: String, in configuration: JSON?, default fallback: Bool) throws(TokenizerError) -> Bool {
        guard let configuration else { return fallback }
        return try ComponentReader(configuration, name: "tokenizer_config.json").bool(key, default: fallback)
    }
}
