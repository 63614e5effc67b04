public import OrderedJSON

/// A tokenizer as the two files that the `tokenizers` and `transformers` packages load.
public struct HuggingFaceTokenizerFiles: Sendable {
    /// `tokenizer.json`
    public let tokenizer: JSON
    /// `tokenizer_config.json`
    public let configuration: JSON

    /// - Parameters:
    ///   - definition: the same ids come out of both packages as out of a ``Tokenizer`` with it.
    ///   - chatTemplate: the model's Jinja template, kept as it is.
    public init(_ definition: TokenizerDefinition, chatTemplate: String? = nil) {
        tokenizer = [
            "version": "1.0",
            "truncation": nil,
            "padding": nil,
            "added_tokens": .array(definition.addedTokens.map(HuggingFaceTokenizerFiles.addedToken)),
            "normalizer": HuggingFaceTokenizerFiles.normalizer(definition),
            "pre_tokenizer": HuggingFaceTokenizerFiles.preTokenizer(definition),
            "post_processor": HuggingFaceTokenizerFiles.postProcessor(definition),
            "decoder": HuggingFaceTokenizerFiles.byteLevel(addsPrefixSpace: true, splitting: true),
            "model": HuggingFaceTokenizerFiles.model(definition),
        ]
        configuration = HuggingFaceTokenizerFiles.configuration(definition, chatTemplate: chatTemplate)
    }

    private static func addedToken(_ token: AddedToken) -> JSON {
        [
            "id": .integer(token.id),
            "content": .string(token.content),
            "single_word": .bool(token.isSingleWord),
            "lstrip": .bool(token.stripsLeft),
            "rstrip": .bool(token.stripsRight),
            "normalized": .bool(token.isNormalized),
            "special": .bool(token.isSpecial),
        ]
    }

    private static func normalizer(_ definition: TokenizerDefinition) -> JSON {
        switch definition.options.normalizer {
        case .none: .null
        case .canonicalComposition: ["type": "NFC"]
        }
    }

    private static func preTokenizer(_ definition: TokenizerDefinition) -> JSON {
        let preTokenizer = definition.options.preTokenizer
        let first: JSON
        switch preTokenizer {
        case .gpt2: return byteLevel(addsPrefixSpace: definition.options.addsPrefixSpace, splitting: true)
        case .smolLM: first = ["type": "Digits", "individual_digits": true]
        case .llama3, .qwen2:
            first = [
                "type": "Split", "pattern": ["Regex": .string(preTokenizer.pattern)], "behavior": "Isolated",
                "invert": false,
            ]
        }
        let last = byteLevel(addsPrefixSpace: false, splitting: preTokenizer == .smolLM)
        return ["type": "Sequence", "pretokenizers": [first, last]]
    }

    private static func byteLevel(addsPrefixSpace: Bool, splitting: Bool) -> JSON {
        [
            "type": "ByteLevel", "add_prefix_space": .bool(addsPrefixSpace), "trim_offsets": true,
            "use_regex": .bool(splitting),
        ]
    }

    private static func postProcessor(_ definition: TokenizerDefinition) -> JSON {
        let roles = definition.roles
        let before = roles.addsBeginningOfText ? roles.beginningOfText : nil
        let after = roles.addsEndOfText ? roles.endOfText : nil
        guard before != nil || after != nil else { return byteLevel(addsPrefixSpace: true, splitting: true) }

        func name(_ id: Int) -> JSON { .string(definition.text(of: id) ?? "") }
        func template(_ sequence: JSON, type: JSON) -> [JSON] {
            func special(_ id: Int) -> JSON { ["SpecialToken": ["id": name(id), "type_id": type]] }
            return (before.map { [special($0)] } ?? []) + [["Sequence": ["id": sequence, "type_id": type]]]
                + (after.map { [special($0)] } ?? [])
        }
        var specials: JSON = [:]
        if case .object(var members) = specials {
            for id in [before, after].compactMap(\.self) {
                members[definition.text(of: id) ?? ""] = ["id": name(id), "ids": [.integer(id)], "tokens": [name(id)]]
            }
            specials = .object(members)
        }
        return [
            "type": "TemplateProcessing",
            "single": .array(template("A", type: 0)),
            "pair": .array(template("A", type: 0) + template("B", type: 1)),
            "special_tokens": specials,
        ]
    }
}

extension HuggingFaceTokenizerFiles {
    private static func model(_ definition: TokenizerDefinition) -> JSON {
        var vocabulary: JSON = [:]
        if case .object(var members) = vocabulary {
            let count = modelTokenCount(definition)
            members.reserveCapacity(count)
            for id in 0..<count {
                if let text = definition.text(of: id) { members[text] = .integer(id) }
            }
            vocabulary = .object(members)
        }
        let unknown = definition.options.missingByteToken.flatMap { definition.text(of: $0) }
        return [
            "type": "BPE",
            "dropout": nil,
            "unk_token": unknown.map { .string($0) } ?? .null,
            "continuing_subword_prefix": nil,
            "end_of_word_suffix": nil,
            "fuse_unk": .bool(definition.options.fusesMissingBytes),
            "byte_fallback": false,
            "ignore_merges": .bool(definition.options.ignoresMerges),
            "vocab": vocabulary,
            "merges": .array(
                (0..<definition.mergeCount).map { .string(definition.merges.line($0, in: definition.vocabulary)) }),
        ]
    }

    /// How many ids `model.vocab` covers.
    ///
    /// Added tokens at the end get their ids by counting on from the vocabulary, so they need not be in it; but that
    /// count goes by the number of tokens, and with a gap among the ids it would go wrong.
    private static func modelTokenCount(_ definition: TokenizerDefinition) -> Int {
        let count = definition.tokenCount
        guard (0..<count).allSatisfy(definition.vocabulary.contains) else { return count }
        var end = count
        for token in definition.addedTokens.reversed() where token.id == end - 1 { end -= 1 }
        return definition.options.missingByteToken.map { max(end, $0 + 1) } ?? end
    }

    private static func configuration(_ definition: TokenizerDefinition, chatTemplate: String?) -> JSON {
        let roles = definition.roles
        let addedIDs = Set(definition.addedTokens.map(\.id))
        func token(_ id: Int?) -> JSON { id.flatMap { definition.text(of: $0) }.map { .string($0) } ?? .null }
        var configuration: JSON = [
            // The class that takes tokenizer.json as it is; those named after models rebuild parts of it.
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_bos_token": .bool(roles.addsBeginningOfText),
            "add_eos_token": .bool(roles.addsEndOfText),
            "bos_token": token(roles.beginningOfText),
            "eos_token": token(roles.endOfText),
            // A token that is named here is found in every text: an ordinary one must not be.
            "unk_token": token(roles.unknown.flatMap { addedIDs.contains($0) ? $0 : nil }),
            "pad_token": token(roles.padding.flatMap { addedIDs.contains($0) ? $0 : nil }),
            "clean_up_tokenization_spaces": false,
        ]
        if let chatTemplate, case .object(var members) = configuration {
            members["chat_template"] = .string(chatTemplate)
            configuration = .object(members)
        }
        return configuration
    }
}
