/// A tokenizer in the terms of GGUF's `tokenizer.ggml.*` keys.
public struct GGUFTokenizerValues: Sendable {
    /// "gpt2" for byte-level BPE, "llama" for SentencePiece.
    public let model: String
    /// llama.cpp's name of the pre-tokenizer; nil for SentencePiece.
    public let preTokenizer: String?
    /// A token for every id, those that stand for nothing included.
    public let tokens: [String]
    /// 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte.
    public let tokenTypes: [Int]
    /// Of SentencePiece; else empty.
    public let scores: [Float]
    /// Of byte-level BPE; else empty.
    public let merges: [String]
    /// Whether a space is put before texts.
    public let addsSpacePrefix: Bool
}

extension TokenizerDefinition {
    private static let ggufPreTokenizers: [PreTokenizer: String] = [
        .gpt2: "gpt-2", .smolLM: "smollm", .llama3: "llama-bpe", .qwen2: "qwen2",
    ]

    /// The tokenizer as a GGUF file says it.
    /// - Parameter tokenCount: rows of the model's embedding table: ids without a token get one that is never used,
    ///   as llama.cpp's converter does it.
    /// - Throws: `TokenizerError` if llama.cpp has no name for it, or for what happens before the merges.
    /// - Complexity: O(bytes of the vocabulary).
    public func ggufValues(tokenCount: Int) throws(TokenizerError) -> GGUFTokenizerValues {
        guard tokenCount >= self.tokenCount else {
            throw TokenizerError("the vocabulary has \(self.tokenCount) tokens, expected at most \(tokenCount)")
        }
        switch model {
        case .bytePairs(let rules):
            guard let options else { throw TokenizerError("GGUF has no name for the steps before the merges") }
            return try ggufValues(rules, options, tokenCount: tokenCount)
        case .sentencePiece(let model): return try ggufValues(model, tokenCount: tokenCount)
        case .unigram: throw TokenizerError("GGUF files of this kind of model hold no unigram tokenizer")
        }
    }

    private func ggufValues(
        _ rules: BytePairRules, _ options: TokenizerOptions, tokenCount: Int
    ) throws(TokenizerError) -> GGUFTokenizerValues {
        guard let name = Self.ggufPreTokenizers[options.preTokenizer] else {
            throw TokenizerError("GGUF has no name for the pre-tokenizer \(options.preTokenizer.rawValue)")
        }
        // There the merges of Llama 3 alone are passed over for whole words.
        guard options.ignoresMerges == (options.preTokenizer == .llama3) else {
            throw TokenizerError("GGUF cannot say that the pre-tokenizer \(name) passes over the merges, or does not")
        }
        let (tokens, types) = ggufTokens(tokenCount: tokenCount) { _ in nil }
        return GGUFTokenizerValues(
            model: "gpt2", preTokenizer: name, tokens: tokens, tokenTypes: types, scores: [],
            merges: (0..<mergeCount).map { rules.merges.line($0, in: vocabulary) },
            addsSpacePrefix: options.addsPrefixSpace)
    }

    /// llama.cpp normalises nothing there, and puts the space behind special tokens, too.
    private func ggufValues(
        _ model: SentencePieceModel, tokenCount: Int
    ) throws(TokenizerError) -> GGUFTokenizerValues {
        let file = model.file
        guard file.kind == .bytePairs, file.characterMap.isEmpty, !file.removesExtraWhitespace,
            model.addsPrefixEverywhere || !file.addsDummyPrefix
        else {
            throw TokenizerError(
                "GGUF holds SentencePiece models of byte pairs that normalise nothing, and this one is another")
        }
        let (tokens, types) = ggufTokens(tokenCount: tokenCount) { id in
            file.pieces.indices.contains(id) ? file.pieces[id].type.rawValue : nil
        }
        return GGUFTokenizerValues(
            model: "llama", preTokenizer: nil, tokens: tokens, tokenTypes: types,
            scores: (0..<tokenCount).map { file.pieces.indices.contains($0) ? file.pieces[$0].score : 0 }, merges: [],
            addsSpacePrefix: file.addsDummyPrefix)
    }

    /// Texts and types of all ids.
    /// - Parameter type: what the model itself says of an id; added tokens go before.
    private func ggufTokens(tokenCount: Int, type: (Int) -> Int?) -> (tokens: [String], types: [Int]) {
        var kinds: [Int: Int] = [:]
        for token in addedTokens { kinds[token.id] = token.isSpecial ? 3 : 4 }
        var tokens: [String] = []
        var types: [Int] = []
        for id in 0..<tokenCount {
            let text = text(of: id)
            tokens.append(text ?? "[PAD\(id)]")
            types.append(text == nil ? 5 : type(id).flatMap { $0 == 1 ? nil : $0 } ?? kinds[id] ?? 1)
        }
        return (tokens, types)
    }
}
