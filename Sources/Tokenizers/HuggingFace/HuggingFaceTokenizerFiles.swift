public import OrderedJSON

/// A tokenizer as the two files that the `tokenizers` and `transformers` packages load.
public struct HuggingFaceTokenizerFiles: Sendable {
    /// `tokenizer.json`; null where ``sentencePieceModel`` takes its place.
    public let tokenizer: JSON
    /// `tokenizer.model`, which a SentencePiece tokenizer is written as.
    public let sentencePieceModel: [UInt8]?
    /// `tokenizer_config.json`
    public let configuration: JSON

    /// - Parameters:
    ///   - definition: the same ids come out of both packages as out of a ``Tokenizer`` with it.
    ///   - chatTemplate: the model's Jinja template, kept as it is.
    /// - Throws: `TokenizerError` if the tokenizer came from a folder and is not one of the known byte-level ones: its
    ///   own files say what it is.
    public init(_ definition: TokenizerDefinition, chatTemplate: String? = nil) throws(TokenizerError) {
        if case .sentencePiece(let model) = definition.model {
            tokenizer = .null
            sentencePieceModel = model.file.bytes
            configuration = HuggingFaceTokenizerFiles.configuration(
                definition, tokenizerClass: "LlamaTokenizer", chatTemplate: chatTemplate,
                extra: [
                    "legacy": .bool(model.addsPrefixEverywhere),
                    "added_tokens_decoder": HuggingFaceTokenizerFiles.addedTokens(definition),
                ])
            return
        }
        guard let options = definition.options, case .bytePairs(let rules) = definition.model else {
            throw TokenizerError(
                "a \(definition.kindName) tokenizer with steps of its own is not written anew, only copied")
        }
        sentencePieceModel = nil
        tokenizer = [
            "version": "1.0",
            "truncation": nil,
            "padding": nil,
            "added_tokens": .array(definition.addedTokens.map(HuggingFaceTokenizerFiles.addedToken)),
            "normalizer": options.normalizer == .canonicalComposition ? ["type": "NFC"] : .null,
            "pre_tokenizer": HuggingFaceTokenizerFiles.preTokenizer(options),
            "post_processor": HuggingFaceTokenizerFiles.postProcessor(definition),
            "decoder": HuggingFaceTokenizerFiles.byteLevel(addsPrefixSpace: true, splitting: true),
            "model": HuggingFaceTokenizerFiles.model(definition, options, rules.merges),
        ]
        configuration = HuggingFaceTokenizerFiles.configuration(
            // The class that takes tokenizer.json as it is; those named after models rebuild parts of it.
            definition, tokenizerClass: "PreTrainedTokenizerFast", chatTemplate: chatTemplate)
    }

    /// The members of `added_tokens_decoder`.
    private static func addedTokens(_ definition: TokenizerDefinition) -> JSON {
        var tokens: JSON = [:]
        if case .object(var members) = tokens {
            for token in definition.addedTokens {
                if case .object(var flags) = addedToken(token) {
                    flags["id"] = nil
                    members["\(token.id)"] = .object(flags)
                }
            }
            tokens = .object(members)
        }
        return tokens
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

    private static func preTokenizer(_ options: TokenizerOptions) -> JSON {
        let preTokenizer = options.preTokenizer
        let first: JSON
        switch preTokenizer {
        case .gpt2: return byteLevel(addsPrefixSpace: options.addsPrefixSpace, splitting: true)
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
    private static func model(
        _ definition: TokenizerDefinition, _ options: TokenizerOptions, _ merges: MergeRules
    ) -> JSON {
        var vocabulary: JSON = [:]
        if case .object(var members) = vocabulary {
            let count = modelTokenCount(definition, options)
            members.reserveCapacity(count)
            for id in 0..<count {
                if let text = definition.text(of: id) { members[text] = .integer(id) }
            }
            vocabulary = .object(members)
        }
        let unknown = options.missingByteToken.flatMap { definition.text(of: $0) }
        return [
            "type": "BPE",
            "dropout": nil,
            "unk_token": unknown.map { .string($0) } ?? .null,
            "continuing_subword_prefix": nil,
            "end_of_word_suffix": nil,
            "fuse_unk": .bool(options.fusesMissingBytes),
            "byte_fallback": false,
            "ignore_merges": .bool(options.ignoresMerges),
            "vocab": vocabulary,
            "merges": .array(
                (0..<merges.count).map { .string(merges.line($0, in: definition.vocabulary)) }),
        ]
    }

    /// How many ids `model.vocab` covers.
    ///
    /// Added tokens at the end get their ids by counting on from the vocabulary, so they need not be in it; but that
    /// count goes by the number of tokens, and with a gap among the ids it would go wrong.
    private static func modelTokenCount(_ definition: TokenizerDefinition, _ options: TokenizerOptions) -> Int {
        let count = definition.tokenCount
        guard (0..<count).allSatisfy(definition.vocabulary.contains) else { return count }
        var end = count
        for token in definition.addedTokens.reversed() where token.id == end - 1 { end -= 1 }
        return options.missingByteToken.map { max(end, $0 + 1) } ?? end
    }

    private static func configuration(
        _ definition: TokenizerDefinition, tokenizerClass: String, chatTemplate: String?,
        extra: KeyValuePairs<String, JSON> = [:]
    ) -> JSON {
        let roles = definition.roles
        let addedIDs = Set(definition.addedTokens.map(\.id))
        func token(_ id: Int?) -> JSON { id.flatMap { definition.text(of: $0) }.map { .string($0) } ?? .null }
        var configuration: JSON = [
            "tokenizer_class": .string(tokenizerClass),
            "add_bos_token": .bool(roles.addsBeginningOfText),
            "add_eos_token": .bool(roles.addsEndOfText),
            "bos_token": token(roles.beginningOfText),
            "eos_token": token(roles.endOfText),
            // A token that is named here is found in every text: an ordinary one must not be.
            "unk_token": token(roles.unknown.flatMap { addedIDs.contains($0) ? $0 : nil }),
            "pad_token": token(roles.padding.flatMap { addedIDs.contains($0) ? $0 : nil }),
            "clean_up_tokenization_spaces": false,
        ]
        if case .object(var members) = configuration {
            for (key, value) in extra { members[key] = value }
            if let chatTemplate { members["chat_template"] = .string(chatTemplate) }
            configuration = .object(members)
        }
        return configuration
    }
}
