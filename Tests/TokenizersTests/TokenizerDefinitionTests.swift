import TestSupport
import Testing

@testable import Tokenizers

@Suite struct TokenizerDefinitionTests {
    private static let options = TokenizerOptions(preTokenizer: .gpt2)

    private func refusal(
        _ tokens: [String?], _ merges: [String] = [], added: [AddedToken] = [], roles: TokenRoles = TokenRoles(),
        options: TokenizerOptions = Self.options
    ) -> String? {
        do throws(TokenizerError) {
            _ = try TokenizerDefinition(
                tokens: tokens, merges: merges, addedTokens: added, roles: roles, options: options)
            return nil
        } catch { return error.description }
    }

    @Test func refusesVocabulariesThatMakeNoSense() {
        #expect(refusal([]) == "the vocabulary has no tokens")
        #expect(refusal(["a", "", "b"]) == "token 1 is empty")
        #expect(refusal(["a", "b", "a"]) == #"the token "a" has two ids, 0 and 2"#)
        #expect(refusal(["a", "\u{4E00}", "\u{4E00}"]) == "the token \"\u{4E00}\" has two ids, 1 and 2")
        let long = String(repeating: "a", count: Vocabulary.maximumTokenByteCount + 1)
        #expect(refusal([long]) == "token 0 has 65537 bytes, expected at most 65536")
        let many = [String?](repeating: nil, count: Vocabulary.maximumCount + 1)
        #expect(refusal(many) == "the vocabulary has 4000001 tokens, expected at most 4000000")
    }

    @Test func refusesMergesThatDoNotFit() {
        let tokens = ["a", "b", "c", "ab"]
        #expect(refusal(tokens, ["a b"]) == nil)
        #expect(refusal(tokens, ["a b", "a b"]) == #"merges 0 and 1 are both "a b""#)
        #expect(refusal(tokens, ["a x"]) == #"merge 0, "a x", needs the token "x", which is missing"#)
        #expect(refusal(tokens, ["b c"]) == #"merge 0, "b c", needs the token "bc", which is missing"#)
        for line in ["", " ", "a", "a ", " a", "ab", "a b c", "a  b", "\u{4E00} a"] {
            let expected = "merge 0 is \(line.quoted), expected two byte-level tokens with one space between"
            #expect(refusal(tokens, [line]) == expected)
        }
    }

    @Test func refusesAddedTokensThatDoNotFit() {
        func refusal(_ added: AddedToken...) -> String? { self.refusal(["a", "b"], added: added) }
        #expect(refusal(AddedToken(id: 0, content: "a"), AddedToken(id: 7, content: "<s>")) == nil)
        #expect(
            refusal(AddedToken(id: -1, content: "x")) == #"the added token "x" has the id -1, expected 0 to 3999999"#)
        #expect(refusal(AddedToken(id: .max, content: "x"))?.hasSuffix("expected 0 to 3999999") == true)
        #expect(refusal(AddedToken(id: 2, content: "")) == "the added token 2 has no text")
        #expect(refusal(AddedToken(id: 1, content: "x")) == #"the added token "x" has the id 1, which belongs to "b""#)
        #expect(refusal(AddedToken(id: 2, content: "b")) == #"the token "b" has two ids, 1 and 2"#)
        #expect(
            refusal(AddedToken(id: 2, content: "x"), AddedToken(id: 2, content: "x"))
                == #"two added tokens have the id 2, one of them "x""#)
    }

    @Test func refusesRolesWithoutAToken() {
        #expect(
            refusal(["a", nil], roles: TokenRoles(endOfText: 1))
                == "the end-of-text token has the id 1, which is not in the vocabulary of 2 ids")
        #expect(refusal(["a"], roles: TokenRoles(padding: -1))?.contains("padding token has the id -1") == true)
        #expect(
            refusal(["a"], roles: TokenRoles(addsBeginningOfText: true))
                == "a beginning-of-text token is to be added, but none is named")
        #expect(
            refusal(["a"], roles: TokenRoles(addsEndOfText: true))
                == "an end-of-text token is to be added, but none is named")
        let options = TokenizerOptions(preTokenizer: .llama3, addsPrefixSpace: true)
        #expect(refusal(["a"], options: options)?.contains("found llama3") == true)
    }

    @Test func keepsGapsAmongTheIDs() throws {
        let definition = try TokenizerDefinition(
            tokens: ["a", nil, "b"], merges: [], addedTokens: [AddedToken(id: 4, content: "<s>")], options: Self.options
        )
        #expect(definition.tokenCount == 5)
        #expect((0..<6).map { definition.text(of: $0) } == ["a", nil, "b", nil, "<s>", nil])
        #expect(definition.missingBytes.count == 254)
    }

    @Test func spellsAllBytes() {
        var bytes: [UInt8] = []
        let text = ByteAlphabet.text(of: Array(0...255))
        #expect(text.unicodeScalars.count == 256)
        #expect(Set(text.unicodeScalars).count == 256)
        #expect(ByteAlphabet.appendBytes(of: text.utf8, to: &bytes))
        #expect(bytes == Array(0...255))
        #expect(ByteAlphabet.text(of: [0x20, 0x0A, 0x7F, 0xAD]) == "ĠĊ\u{121}\u{143}")
        for outside in [" ", "\n", "\u{AD}", "\u{144}", "\u{17F}", "\u{180}", "\u{4E00}", "😀"] {
            #expect(!ByteAlphabet.appendBytes(of: outside.utf8, to: &bytes))
            #expect(bytes.count == 256)
        }
    }
}

@Suite struct GGUFTokenizerTests {
    private func definition(
        model: String = "gpt2", pre: String? = "smollm",
        tokens: [String] = ["a", "b", "ab", "<s>", "<tool>", "[PAD5]", "<unk>"],
        types: [Int]? = [1, 1, 1, 3, 4, 5, 2], roles: TokenRoles = TokenRoles(beginningOfText: 3),
        addsBeginningOfText: Bool? = nil
    ) throws(TokenizerError) -> TokenizerDefinition {
        try TokenizerDefinition(
            ggufModel: model, preTokenizer: pre, tokens: tokens, tokenTypes: types, merges: ["a b"], roles: roles,
            addsBeginningOfText: addsBeginningOfText)
    }

    @Test func readsTheTokenTypes() throws {
        let definition = try definition()
        #expect(
            definition.addedTokens == [
                AddedToken(id: 3, content: "<s>"), AddedToken(id: 4, content: "<tool>", isSpecial: false),
                AddedToken(id: 6, content: "<unk>"),
            ])
        #expect(definition.text(of: 5) == nil)
        #expect(definition.tokenCount == 7)
    }

    @Test func takesBeginningAndEndForSpecialWhateverTheirType() throws {
        for types in [nil, [Int](repeating: 1, count: 7)] {
            let definition = try definition(types: types)
            #expect(definition.addedTokens == [AddedToken(id: 3, content: "<s>")])
        }
    }

    @Test func addsTheBeginningForLlama3Alone() throws {
        #expect(try definition(pre: "llama-bpe").roles.addsBeginningOfText)
        #expect(try !definition(pre: "llama-bpe", addsBeginningOfText: false).roles.addsBeginningOfText)
        #expect(try !definition(pre: "llama-bpe", roles: TokenRoles()).roles.addsBeginningOfText)
        #expect(try !definition(pre: "smollm").roles.addsBeginningOfText)
        #expect(try definition(pre: "smollm", addsBeginningOfText: true).roles.addsBeginningOfText)
    }

    @Test(arguments: [
        ("gpt-2", PreTokenizer.gpt2), ("smollm", .smolLM), ("llama-bpe", .llama3), ("llama3", .llama3),
        ("qwen2", .qwen2),
        ("default", .gpt2), ("", .gpt2),
    ])
    func knowsThePreTokenizer(name: String, expected: PreTokenizer) throws {
        let options = try definition(pre: name.isEmpty ? nil : name).options
        #expect(options?.preTokenizer == expected)
        #expect(options?.ignoresMerges == (expected == .llama3))
        #expect(options?.normalizer == (expected == .qwen2 ? Normalizer.canonicalComposition : Normalizer.none))
    }

    @Test func refusesWhatItDoesNotKnow() {
        func refusal(_ make: () throws(TokenizerError) -> TokenizerDefinition) -> String? {
            do throws(TokenizerError) {
                _ = try make()
                return nil
            } catch { return error.description }
        }
        #expect(
            refusal { () throws(TokenizerError) in try definition(model: "bert") }
                == #"the tokenizer model "bert" is unknown, expected "gpt2" (byte-level BPE) or "#
                + #""llama" (SentencePiece)"#)
        #expect(
            refusal { () throws(TokenizerError) in try definition(model: "llama") }
                == "there are 7 tokens but 7 token types and 0 scores, which SentencePiece needs")
        #expect(
            refusal { () throws(TokenizerError) in try definition(pre: "viking") }?
                .hasPrefix(#"the pre-tokenizer "viking" is unknown, expected gpt-2, smollm, "#) == true)
        #expect(
            refusal { () throws(TokenizerError) in try definition(types: [1]) }
                == "there are 7 tokens but 1 token types")
        #expect(
            refusal { () throws(TokenizerError) in try definition(types: [1, 1, 1, 6, 1, 1, 1]) }
                == #"token 3, "<s>", has the type 6, expected 1 to 5 in a byte-level vocabulary"#)
        #expect(
            refusal { () throws(TokenizerError) in try definition(types: nil, roles: TokenRoles(beginningOfText: 70)) }?
                .contains("the beginning-of-text token has the id 70") == true)
    }
}
