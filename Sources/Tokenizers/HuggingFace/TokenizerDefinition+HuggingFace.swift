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
        let model = try BytePairModel(ComponentReader(file.member("model"), name: "model"))
        var options = try TokenizerOptions(
            preTokenizers: file.member("pre_tokenizer"), normalizer: file.member("normalizer"))
        options.ignoresMerges = model.ignoresMerges
        options.fusesMissingBytes = model.fusesUnknown
        try TokenizerDefinition.checkDecoder(file.member("decoder"))

        var added: [AddedToken] = []
        for (index, token) in try file.array("added_tokens").enumerated() {
            added.append(try AddedToken(ComponentReader(token, name: "added_tokens[\(index)]")))
        }
        if let configuration { try TokenizerDefinition.update(&added, from: configuration) }
        func id(_ text: String) -> Int? {
            added.first { $0.content.utf8.elementsEqual(text.utf8) }?.id
                ?? model.tokens.firstIndex { $0?.utf8.elementsEqual(text.utf8) ?? false }
        }

        if let name = model.unknown {
            guard let id = id(name) else {
                throw TokenizerError("tokenizer.json: the unk_token \(name.quoted) is not in the vocabulary")
            }
            options.missingByteToken = id
        }
        let template = try TokenTemplate(postProcessor: file.member("post_processor"))
        let roles = try TokenRoles(configuration: configuration, template: template, id: id)
        if configuration != nil {
            for id in Set([roles.beginningOfText, roles.endOfText, roles.unknown, roles.padding].compactMap(\.self))
            where !added.contains(where: { $0.id == id }) && model.tokens.indices.contains(id) {
                if let content = model.tokens[id] { added.append(AddedToken(id: id, content: content)) }
            }
        }
        try self.init(tokens: model.tokens, merges: model.merges, addedTokens: added, roles: roles, options: options)
    }

    /// Takes over the added tokens that a tokenizer_config.json lists by their ids.
    private static func update(_ added: inout [AddedToken], from configuration: JSON) throws(TokenizerError) {
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

    /// The same from the bytes of the two files.
    public init(tokenizerJSON: [UInt8], configurationJSON: [UInt8]? = nil) throws(TokenizerError) {
        func parse(_ bytes: [UInt8], _ name: String) throws(TokenizerError) -> JSON {
            do { return try JSON(parsing: bytes) } catch { throw TokenizerError("\(name): \(error)") }
        }
        let tokenizer = try parse(tokenizerJSON, "tokenizer.json")
        var configuration: JSON?
        if let configurationJSON { configuration = try parse(configurationJSON, "tokenizer_config.json") }
        try self.init(huggingFaceTokenizer: tokenizer, configuration: configuration)
    }

    private static func checkDecoder(_ json: JSON) throws(TokenizerError) {
        for step in try ComponentReader.flattened(json, name: "decoder", sequenceKey: "decoders") {
            try step.require(type: "ByteLevel", knownKeys: ["add_prefix_space", "trim_offsets", "use_regex"])
        }
        if json.isNull { throw TokenizerError("decoder is null, expected ByteLevel") }
    }
}

/// The `model` of a tokenizer.json.
private struct BytePairModel {
    var tokens: [String?]
    var merges: [String]
    var unknown: String?
    var ignoresMerges: Bool
    var fusesUnknown: Bool

    init(_ model: ComponentReader) throws(TokenizerError) {
        // Files from before the `type` key hold BPE models too.
        if !model.member("type").isNull || model.member("vocab").isNull { try model.require(type: "BPE") }
        try model.check(
            knownKeys: [
                "type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                "byte_fallback", "ignore_merges", "vocab", "merges",
            ])
        if let dropout = model.member("dropout").doubleValue, dropout != 0 {
            throw TokenizerError("model.dropout is \(dropout), expected null: ids must not depend on chance")
        }
        for key in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let text = try model.string(key), !text.isEmpty {
                throw TokenizerError("model.\(key) is \(text.quoted), which byte-level vocabularies don't use")
            }
        }
        if try model.bool("byte_fallback", default: false) {
            throw TokenizerError("model.byte_fallback is true, which byte-level vocabularies don't use")
        }
        unknown = try model.string("unk_token")
        ignoresMerges = try model.bool("ignore_merges", default: false)
        fusesUnknown = try model.bool("fuse_unk", default: false)
        tokens = try BytePairModel.tokens(model.member("vocab"))
        merges = try BytePairModel.merges(model.array("merges"))
    }

    private static func tokens(_ vocabulary: JSON) throws(TokenizerError) -> [String?] {
        guard let members = vocabulary.objectValue else {
            throw TokenizerError("model.vocab is \(vocabulary.kindName), expected an object")
        }
        let limit = Vocabulary.maximumCount
        var tokens = [String?](repeating: nil, count: min(members.count, limit))
        for (text, value) in members {
            guard let id = value.intValue, (0..<limit).contains(id) else {
                throw TokenizerError("model.vocab gives \(text.quoted) no id from 0 to \(limit - 1)")
            }
            if id >= tokens.count { tokens += Array(repeating: nil, count: id + 1 - tokens.count) }
            if let other = tokens[id] {
                throw TokenizerError("model.vocab gives \(other.quoted) and \(text.quoted) the same id, \(id)")
            }
            tokens[id] = text
        }
        return tokens
    }

    /// Merges are written as "a b" or, in newer files, as ["a", "b"].
    private static func merges(_ list: [JSON]) throws(TokenizerError) -> [String] {
        var merges: [String] = []
        merges.reserveCapacity(list.count)
        for (rank, merge) in list.enumerated() {
            if let text = merge.stringValue {
                merges.append(text)
            } else if let pair = merge.arrayValue, pair.count == 2, let left = pair[0].stringValue,
                let right = pair[1].stringValue
            {
                merges.append(left + " " + right)
            } else {
                throw TokenizerError("model.merges[\(rank)] is \(merge.kindName), expected a text or a pair of texts")
            }
        }
        return merges
    }
}

extension AddedToken {
    /// - Parameter id: the token's id where it is not its member `id`.
    fileprivate init(_ token: ComponentReader, id: Int? = nil) throws(TokenizerError) {
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
}
