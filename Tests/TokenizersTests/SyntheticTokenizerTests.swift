import Testing
import Tokenizers

@Suite struct SyntheticTokenizerTests {
    @Test(arguments: [257, 258, 300, 5000, 32_000, 128_256]) func givesEveryIDAText(tokenCount: Int) throws {
        let definition = try TokenizerDefinition.synthetic(tokenCount: tokenCount)
        #expect(definition.tokenCount == tokenCount)
        #expect((0..<tokenCount).allSatisfy { definition.text(of: $0) != nil })
        #expect(definition.text(of: tokenCount - 1) == TokenizerDefinition.syntheticEndOfText)
        #expect(definition.missingBytes.isEmpty)
        #expect(definition.mergeCount == tokenCount - 257)
    }

    @Test(arguments: [257, 1000, 32_000]) func encodesEveryTextWithoutLoss(tokenCount: Int) throws {
        let tokenizer = Tokenizer(try TokenizerDefinition.synthetic(tokenCount: tokenCount))
        for text in ["", " ", "the quick brown fox", "Zürich, 12 °C\n\t\u{0}", "\u{1F469}\u{200D}\u{1F52C} x"] {
            #expect(tokenizer.decode(tokenizer.encode(text)) == text)
        }
        // Longer words are fewer tokens where the vocabulary has them.
        let count = tokenizer.encode("the quick brown fox").count
        #expect(tokenCount == 32_000 ? count < 10 : count > 10)
    }
}
