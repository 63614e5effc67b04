extension TokenizerDefinition {
    /// The tokenizer of a GGUF file, from the values of its `tokenizer.ggml.*` keys.
    ///
    /// Control tokens and the unknown token become special added tokens, user-defined ones plain added tokens; unused
    /// ids stay empty. The tokens for the beginning and the end of a text count as control tokens whatever their type.
    /// - Parameters:
    ///   - model: `model`; only "gpt2", byte-level BPE, is known.
    ///   - preTokenizer: `pre`. Files from before this key, and those that say "default", are read as GPT-2's, which
    ///     is what vocabularies of that time used.
    ///   - tokens: `tokens`.
    ///   - tokenTypes: `token_type`: 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused.
    ///   - merges: `merges`.
    ///   - roles: `bos_token_id`, `eos_token_id`, `unknown_token_id`, `padding_token_id`; its flags are not read.
    ///   - addsBeginningOfText: `add_bos_token`. A Llama 3 vocabulary without the key adds it; others don't.
    ///   - addsEndOfText: `add_eos_token`.
    /// - Throws: `TokenizerError`.
    public init(
        ggufModel model: String, preTokenizer name: String?, tokens: [String], tokenTypes: [Int]?, merges: [String],
        roles: TokenRoles, addsBeginningOfText: Bool? = nil, addsEndOfText: Bool? = nil
    ) throws(TokenizerError) {
        guard model == "gpt2" else {
            throw TokenizerError("the tokenizer model \(model.quoted) is unknown, expected \"gpt2\" (byte-level BPE)")
        }
        var options = try TokenizerDefinition.options(ggufPreTokenizer: name ?? "default")
        var roles = roles
        roles.addsBeginningOfText =
            addsBeginningOfText ?? (options.preTokenizer == .llama3 && roles.beginningOfText != nil)
        roles.addsEndOfText = addsEndOfText ?? false
        options.missingByteToken = nil  // the unknown token of a GGUF file never stands for a byte

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
        try self.init(tokens: texts, merges: merges, addedTokens: added, roles: roles, options: options)
    }

    /// What llama.cpp's names of pre-tokenizers stand for, with the normaliser of the models they are named after.
    private static func options(ggufPreTokenizer name: String) throws(TokenizerError) -> TokenizerOptions {
        switch name {
        case "gpt-2", "gpt2", "default": TokenizerOptions(preTokenizer: .gpt2)
        case "smollm", "starcoder": TokenizerOptions(preTokenizer: .smolLM)
        case "llama-bpe", "llama3", "llama-v3": TokenizerOptions(preTokenizer: .llama3, ignoresMerges: true)
        case "qwen2": TokenizerOptions(preTokenizer: .qwen2, normalizer: .canonicalComposition)
        default:
            throw TokenizerError(
                "the pre-tokenizer \(name.quoted) is unknown, expected gpt-2, smollm, starcoder, llama-bpe or qwen2")
        }
    }
}
