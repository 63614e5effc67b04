import OrderedJSON
import TestSupport
import Testing

@testable import Tokenizers

/// Against the `tokenizers` package, through `Fixtures/vectors.json`.
@Suite struct TokenizerVectorTests {
    @Test(arguments: TokenizerFixture.names)
    func givesTheReferencesIDs(name: String) throws {
        let tokenizer = try TokenizerFixture.tokenizer(name)
        let vectors = TokenizerFixture.vectors(name)
        #expect(vectors.count > 80)
        for vector in vectors {
            let ids = tokenizer.encode(
                vector.text, addingSpecialTokens: vector.parsesSpecialTokens,
                parsingSpecialTokens: vector.parsesSpecialTokens)
            #expect(ids == vector.ids, "\(vector.text.debugDescription)")
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func givesTheReferencesText(name: String) throws {
        let tokenizer = try TokenizerFixture.tokenizer(name)
        for vector in TokenizerFixture.vectors(name) {
            guard let expected = vector.decoded else { continue }
            let whole = tokenizer.decode(vector.ids, skippingSpecialTokens: vector.skipsSpecialTokens)
            #expect(isIdentical(whole, expected), "\(vector.text.debugDescription)")
            var stream = StreamingDetokenizer(
                tokenizer: tokenizer, skippingSpecialTokens: vector.skipsSpecialTokens)
            let streamed = vector.ids.map { stream.append($0) }.joined() + stream.finish()
            #expect(isIdentical(streamed, expected), "\(vector.text.debugDescription)")
        }
    }

    @Test(arguments: TokenizerFixture.names)
    func writtenFilesGiveTheSameIDs(name: String) throws {
        let definition = try TokenizerDefinition(huggingFaceTokenizer: TokenizerFixture.tokenizerJSON(name))
        let files = try HuggingFaceTokenizerFiles(definition, chatTemplate: "{{ messages }}")
        #expect(HuggingFaceConfiguration.chatTemplate(files.configuration) == "{{ messages }}")
        let read = try TokenizerDefinition(
            tokenizerJSON: Array(files.tokenizer.text().utf8), configurationJSON: Array(files.configuration.text().utf8)
        )
        #expect(read.tokenCount == definition.tokenCount)
        #expect(read.mergeCount == definition.mergeCount)
        #expect(read.addedTokens == definition.addedTokens)
        #expect(read.options == definition.options)
        #expect(read.roles == definition.roles)
        #expect((0..<read.tokenCount).allSatisfy { read.text(of: $0) == definition.text(of: $0) })
        let tokenizer = Tokenizer(read)
        for vector in TokenizerFixture.vectors(name) where vector.parsesSpecialTokens {
            #expect(tokenizer.encode(vector.text) == vector.ids)
        }
    }

    /// The GGUF form of a vocabulary tokenizes as its tokenizer.json does.
    @Test(arguments: ["gpt2": "gpt-2", "smolLM": "smollm", "llama3": "llama-bpe", "qwen2": "qwen2"])
    func readsTheSameFromGGUF(variant: String, preTokenizer: String) throws {
        let reference = try TokenizerFixture.tokenizer(variant)
        let added = reference.definition.addedTokens
        let tokens = (0..<reference.definition.tokenCount).map { reference.definition.text(of: $0)! }
        let types = tokens.indices.map { id in added.contains { $0.id == id } ? 3 : 1 }
        let definition = try TokenizerDefinition(
            ggufModel: "gpt2", preTokenizer: preTokenizer, tokens: tokens, tokenTypes: types,
            merges: TokenizerFixture.merges, roles: reference.definition.roles,
            addsBeginningOfText: reference.definition.roles.addsBeginningOfText,
            addsEndOfText: reference.definition.roles.addsEndOfText)
        #expect(definition.options == reference.definition.options)
        #expect(definition.roles == reference.definition.roles)
        let tokenizer = Tokenizer(definition)
        for vector in TokenizerFixture.vectors(variant) where vector.parsesSpecialTokens {
            #expect(tokenizer.encode(vector.text) == vector.ids)
        }
    }

    @Test func knowsWhichBytesAreMissing() throws {
        #expect(try TokenizerFixture.tokenizer("gpt2").definition.missingBytes == [0x04, 0x16])
    }
}
