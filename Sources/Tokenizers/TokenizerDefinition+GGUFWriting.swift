/// A tokenizer in the terms of GGUF's `tokenizer.ggml.*` keys.
public struct GGUFTokenizerValues: Sendable {
    /// "gpt2" for byte-level BPE.
    public let model: String
    /// llama.cpp's name of the pre-tokenizer.
    public let preTokenizer: String
    /// A token for every id, those that stand for nothing included.
    public let tokens: [String]
    /// 1 normal, 3 control, 4 user-defined, 5 unused.
    public let tokenTypes: [Int]
    public let merges: [String]
}

extension TokenizerDefinition {
    private static let ggufPreTokenizers: [PreTokenizer: String] = [
        .gpt2: "gpt-2", .smolLM: "smollm", .llama3: "llama-bpe", .qwen2: "qwen2",
    ]

    /// The tokenizer as a GGUF file says it.
    /// - Parameter tokenCount: rows of the model's embedding table: ids without a token get one that is never used,
    ///   as llama.cpp's converter does it.
    /// - Throws: `TokenizerError` if llama.cpp has no name for what happens before the merges.
    /// - Complexity: O(bytes of the vocabulary).
    public func ggufValues(tokenCount: Int) throws(TokenizerError) -> GGUFTokenizerValues {
        guard let name = Self.ggufPreTokenizers[options.preTokenizer] else {
            throw TokenizerError("GGUF has no name for the pre-tokenizer \(options.preTokenizer.rawValue)")
        }
        // There the merges of Llama 3 alone are passed over for whole words.
        guard options.ignoresMerges == (options.preTokenizer == .llama3) else {
            throw TokenizerError("GGUF cannot say that the pre-tokenizer \(name) passes over the merges, or does not")
        }
        guard tokenCount >= self.tokenCount else {
            throw TokenizerError("the vocabulary has \(self.tokenCount) tokens, expected at most \(tokenCount)")
        }
        var kinds: [Int: Int] = [:]
        for token in addedTokens { kinds[token.id] = token.isSpecial ? 3 : 4 }
        var tokens: [String] = []
        var types: [Int] = []
        for id in 0..<tokenCount {
            let text = text(of: id)
            tokens.append(text ?? "[PAD\(id)]")
            types.append(text == nil ? 5 : kinds[id] ?? 1)
        }
        return GGUFTokenizerValues(
            model: "gpt2", preTokenizer: name, tokens: tokens, tokenTypes: types,
            merges: (0..<mergeCount).map { merges.line($0, in: vocabulary) })
    }
}
