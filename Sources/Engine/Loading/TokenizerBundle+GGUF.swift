public import Checkpoints
import Tokenizers

extension TokenizerBundle {
    /// The tokenizer as a GGUF file says it, with a token for every row of the embedding table. That of a GGUF file
    /// stays what it is. Where a folder has both a tokenizer.json and a tokenizer.model of the same tokens, the latter
    /// is taken, which GGUF has words for.
    /// - Throws: `TokenizerError` if a GGUF file cannot say it.
    public func ggufTokenizer(of checkpoint: Checkpoint, vocabularySize: Int) throws -> GGUFTokenizer {
        if case .gguf(let tokenizer) = try checkpoint.tokenizerSource() { return tokenizer }
        let values = try (try sentencePieceTwin() ?? definition).ggufValues(tokenCount: vocabularySize)
        let roles = definition.roles
        return GGUFTokenizer(
            model: values.model, pre: values.preTokenizer, tokens: values.tokens, tokenTypes: values.tokenTypes,
            scores: values.scores, merges: values.merges, beginningID: roles.beginningOfText, endID: roles.endOfText,
            endOfTurnID: endIDs.first { $0 != roles.endOfText && definition.text(of: $0) != nil },
            unknownID: roles.unknown, paddingID: roles.padding, addsBeginning: roles.addsBeginningOfText,
            addsEnd: roles.addsEndOfText, addsSpacePrefix: values.addsSpacePrefix,
            chatTemplate: chatTemplate)
    }
}
