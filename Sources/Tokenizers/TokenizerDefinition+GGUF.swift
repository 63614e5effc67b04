extension TokenizerDefinition {
    /// The tokenizer of a GGUF file, from the values of its `tokenizer.ggml.*` keys.
    ///
    /// Control tokens and the unknown token become special added tokens, user-defined ones plain added tokens; unused
    /// ids stay empty. The tokens for the beginning and the end of a text count as control tokens whatever their type.
    /// - Parameters:
    ///   - model: `model`: "gpt2" for byte-level BPE, "llama" for SentencePiece's.
    ///   - preTokenizer: `pre`, of byte-level BPE. Files from before this key, and those that say "default", are read
    ///     as GPT-2's, which is what vocabularies of that time used.
    ///   - tokens: `tokens`.
    ///   - tokenTypes: `token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    ///   - scores: `scores`, of SentencePiece.
    ///   - merges: `merges`, of byte-level BPE.
    ///   - roles: `bos_token_id`, `eos_token_id`, `unknown_token_id`, `padding_token_id`; its flags are not read.
    ///   - addsBeginningOfText: `add_bos_token`. Llama 3 vocabularies and SentencePiece ones without the key add it;
    ///     others don't.
    ///   - addsEndOfText: `add_eos_token`.
    ///   - addsSpacePrefix: `add_space_prefix`, of SentencePiece; it is added without the key.
    /// - Throws: `TokenizerError`.
    public init(
        ggufModel model: String, preTokenizer name: String?, tokens: [String], tokenTypes: [Int]?,
        scores: [Float]? = nil, merges: [String], roles: TokenRoles, addsBeginningOfText: Bool? = nil,
        addsEndOfText: Bool? = nil, addsSpacePrefix: Bool? = nil
    ) throws(TokenizerError) {
        if model == "llama" {
            var roles = roles
            roles.addsBeginningOfText = addsBeginningOfText ?? (roles.beginningOfText != nil)
            roles.addsEndOfText = addsEndOfText ?? false
            try self.init(
                ggufPieces: tokens, tokenTypes: tokenTypes, scores: scores, roles: roles,
                addsSpacePrefix: addsSpacePrefix ?? true)
            return
        }
        guard model == "gpt2" else {
            throw TokenizerError(
                "the tokenizer model \(model.quoted) is unknown, expected \"gpt2\" (byte-level BPE) or \"llama\" "
                    + "(SentencePiece)")
        }
        let steps = try GGUFPreTokenizer(name: name ?? "default")
        var roles = roles
        roles.addsBeginningOfText =
            addsBeginningOfText ?? (steps.addsBeginningOfText && roles.beginningOfText != nil)
        roles.addsEndOfText = addsEndOfText ?? false

        var texts: [String?] = tokens
        var added: [AddedToken] = []
        if let tokenTypes {
            guard tokenTypes.count == tokens.count else {
                throw TokenizerError("there are \(tokens.count) tokens but \(tokenTypes.count) token types")
            }
            for (id, type) in tokenTypes.enumerated() {
                switch type {
                case 1: break
                case 2, 3: added.append(AddedToken(id: id, content: tokens[id]))
                case 4: added.append(AddedToken(id: id, content: tokens[id], isSpecial: false))
                case 5: texts[id] = nil
                default:
                    let found = "token \(id), \(tokens[id].quoted), has the type \(type)"
                    throw TokenizerError("\(found), expected 1 to 5 in a byte-level vocabulary")
                }
            }
        }
        for id in Set([roles.beginningOfText, roles.endOfText].compactMap(\.self))
        where tokens.indices.contains(id) && !added.contains(where: { $0.id == id }) {
            added.append(AddedToken(id: id, content: tokens[id]))
        }
        // The unknown token of a GGUF file never stands for a byte.
        switch steps.form {
        case .known(let options):
            try self.init(tokens: texts, merges: merges, addedTokens: added, roles: roles, options: options)
        case .steps(let preTokenizers, let ignoresMerges):
            try self.init(
                tokens: texts, spelling: .byteLevel, addedTokens: added, roles: roles,
                pipeline: TextPipeline(preTokenizers: preTokenizers)
            ) { (vocabulary) throws(TokenizerError) in
                .bytePairs(
                    BytePairRules(
                        units: .bytes, merges: try MergeRules(lines: merges, vocabulary: vocabulary),
                        ignoresMerges: ignoresMerges, unknownToken: nil, fusesUnknown: false))
            }
        }
    }

    /// SentencePiece's byte pair encoding. Texts are not normalised, save that spaces are made visible; the space in
    /// front comes behind special tokens, too.
    private init(
        ggufPieces tokens: [String], tokenTypes: [Int]?, scores: [Float]?, roles: TokenRoles, addsSpacePrefix: Bool
    ) throws(TokenizerError) {
        guard let tokenTypes, tokenTypes.count == tokens.count, let scores, scores.count == tokens.count else {
            throw TokenizerError(
                "there are \(tokens.count) tokens but \(tokenTypes?.count ?? 0) token types and \(scores?.count ?? 0) "
                    + "scores, which SentencePiece needs")
        }
        var file = SentencePieceFile()
        file.kind = .bytePairs
        file.addsDummyPrefix = addsSpacePrefix
        file.removesExtraWhitespace = false
        var added: [AddedToken] = []
        for (id, text) in tokens.enumerated() {
            guard let type = SentencePieceFile.PieceType(rawValue: tokenTypes[id]), scores[id].isFinite else {
                throw TokenizerError(
                    "token \(id), \(text.quoted), has the type \(tokenTypes[id]) and the score \(scores[id]), expected "
                        + "1 to 6 and a finite one")
            }
            var piece = SentencePieceFile.Piece(text: text, score: scores[id], type: type)
            switch type {
            case .control: added.append(AddedToken(id: id, content: text))
            case .userDefined:
                added.append(AddedToken(id: id, content: text, isSpecial: false))
                // The text is matched as it comes, and seen by SentencePiece with visible spaces.
                piece.text = text.replacing(" ", with: "\u{2581}")
            case .byte: file.fallsBackToBytes = true
            default: break
            }
            file.pieces.append(piece)
        }
        func text(_ id: Int?, _ fallback: String) -> String {
            id.flatMap { tokens.indices.contains($0) ? tokens[$0] : nil } ?? fallback
        }
        file.beginningPiece = text(roles.beginningOfText, file.beginningPiece)
        file.endPiece = text(roles.endOfText, file.endPiece)
        file.paddingPiece = text(roles.padding, file.paddingPiece)
        try self.init(
            sentencePiece: file, tokens: tokens, addedTokens: added, roles: roles, addsPrefixEverywhere: true)
    }
}
