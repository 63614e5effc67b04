extension TokenizerDefinition {
    /// What ends a text of a synthetic tokenizer; its last token.
    public static let syntheticEndOfText = "<|endoftext|>"

    /// A tokenizer for models without a language: every byte, then all words of "a" to "z", the shorter ones first,
    /// each without and with a space before it, until there are `tokenCount` tokens.
    ///
    /// Every text can be encoded, and every id has a text, so that what a model of random weights says can be read,
    /// if not understood.
    /// - Precondition: `tokenCount` is in `257...300_000`.
    /// - Complexity: O(tokens).
    public static func synthetic(tokenCount: Int) throws(TokenizerError) -> TokenizerDefinition {
        precondition((257...300_000).contains(tokenCount), "a synthetic tokenizer of \(tokenCount) tokens")
        let wordLimit = tokenCount - 1
        var tokens = (0...255).map { ByteAlphabet.text(of: [UInt8($0)]) }
        var merges: [String] = []
        func append(_ left: String, _ right: String) {
            if tokens.count == wordLimit { return }
            tokens.append(left + right)
            merges.append("\(left) \(right)")
        }
        let letters = (UInt8(ascii: "a")...UInt8(ascii: "z")).map { ByteAlphabet.text(of: [$0]) }
        let space = ByteAlphabet.text(of: [UInt8(ascii: " ")])
        var words = [""]
        while tokens.count < wordLimit {
            var longer: [String] = []
            for word in words where tokens.count < wordLimit {
                for letter in letters {
                    // Each is a token that is there already and a letter.
                    if !word.isEmpty { append(word, letter) }
                    append(space + word, letter)
                    longer.append(word + letter)
                }
            }
            words = longer
        }
        return try TokenizerDefinition(
            tokens: tokens, merges: merges,
            addedTokens: [AddedToken(id: wordLimit, content: syntheticEndOfText)],
            roles: TokenRoles(beginningOfText: wordLimit, endOfText: wordLimit),
            options: TokenizerOptions(preTokenizer: .gpt2))
    }
}
