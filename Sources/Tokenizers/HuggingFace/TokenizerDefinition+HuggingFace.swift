public import OrderedJSON

extension TokenizerDefinition {
    /// The tokenizer of a Hugging Face folder.
    ///
    /// Everything that changes ids is either understood or refused by its name. What only matters to batches of texts
    /// (`truncation`, `padding`) or to positions in the text (`trim_offsets`) is passed over.
    /// - Parameters:
    ///   - tokenizer: the contents of `tokenizer.json`.
    ///   - configuration: the contents of `tokenizer_config.json`, if there is one: it names the tokens for the
    ///     beginning and the end of a text, which are special even if the tokenizer does not list them as added tokens.
    ///     What it says of whether they are put around a text, and of added tokens, goes before what the tokenizer
    ///     says, as in `transformers`.
    /// - Throws: `TokenizerError`.
    public init(huggingFaceTokenizer tokenizer: JSON, configuration: JSON? = nil) throws(TokenizerError) {
        let file = try ComponentReader(
            tokenizer, name: "tokenizer.json",
            knownKeys: [
                "version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                "decoder",
                "model",
            ])
        let model = try HuggingFaceModel(ComponentReader(file.member("model"), name: "model"))
        let steps = try HuggingFaceSteps(file)

        var added: [AddedToken] = []
        for (index, token) in try file.array("added_tokens").enumerated() {
            added.append(try AddedToken(ComponentReader(token, name: "added_tokens[\(index)]")))
        }
        if let configuration { try AddedToken.update(&added, from: configuration) }
        func id(_ text: String) -> Int? {
            added.first { $0.content.utf8.elementsEqual(text.utf8) }?.id
                ?? model.tokens.firstIndex { $0?.utf8.elementsEqual(text.utf8) ?? false }
        }
        let template = try TokenTemplate(postProcessor: file.member("post_processor"))
        let roles = try TokenRoles(configuration: configuration, template: template, id: id)
        if configuration != nil {
            for id in Set([roles.beginningOfText, roles.endOfText, roles.unknown, roles.padding].compactMap(\.self))
            where !added.contains(where: { $0.id == id }) && model.tokens.indices.contains(id) {
                if let content = model.tokens[id] { added.append(AddedToken(id: id, content: content)) }
            }
        }
        try self.init(model, steps, added: added, roles: roles)
    }

    private init(
        _ model: HuggingFaceModel, _ steps: HuggingFaceSteps, added: [AddedToken], roles: TokenRoles
    ) throws(TokenizerError) {
        try steps.check(model)
        switch model.kind {
        case .bytePairs(let merges, let ignoresMerges, let prefix, let suffix):
            let options = steps.options.map { options in
                var options = options
                options.ignoresMerges = ignoresMerges
                options.missingByteToken = model.unknown
                options.fusesMissingBytes = model.fusesUnknown
                return options
            }
            try self.init(
                tokens: model.tokens, spelling: steps.isByteLevel ? .byteLevel : .plain, addedTokens: added,
                roles: roles, pipeline: steps.pipeline, options: options
            ) { (vocabulary) throws(TokenizerError) in
                .bytePairs(
                    BytePairRules(
                        units: steps.isByteLevel ? .bytes : .characters(fallsBackToBytes: model.fallsBackToBytes),
                        merges: try MergeRules(merges, vocabulary: vocabulary, prefixLength: prefix.utf8.count),
                        ignoresMerges: ignoresMerges, unknownToken: model.unknown, fusesUnknown: model.fusesUnknown,
                        prefix: Array(prefix.utf8), suffix: Array(suffix.utf8)))
            }
        case .unigram(let scores):
            let unknown = model.unknown!  // every unigram model has one
            try self.init(
                tokens: model.tokens, spelling: .plain, addedTokens: added, roles: roles, pipeline: steps.pipeline
            ) { vocabulary in
                .unigram(
                    UnigramModel(
                        vocabulary: vocabulary, scores: scores, ids: Array(scores.indices), unknownID: unknown,
                        worst: scores.min() ?? 0),
                    unknownID: unknown, fallsBackToBytes: model.fallsBackToBytes)
            }
        }
    }

    /// The same from the bytes of the two files.
    public init(tokenizerJSON: [UInt8], configurationJSON: [UInt8]? = nil) throws(TokenizerError) {
        func parse(_ bytes: [UInt8], _ name: String) throws(TokenizerError) -> JSON {
            do { return try JSON(parsing: bytes, listing: "vocab") } catch { throw TokenizerError("\(name): \(error)") }
        }
        let tokenizer = try parse(tokenizerJSON, "tokenizer.json")
        var configuration: JSON?
        if let configurationJSON { configuration = try parse(configurationJSON, "tokenizer_config.json") }
        try self.init(huggingFaceTokenizer: tokenizer, configuration: configuration)
    }
}
