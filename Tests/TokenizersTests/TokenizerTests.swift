import TestSupport
import Testing

@testable import Tokenizers

@Suite struct TokenizerTests {
    @Test(arguments: PreTokenizer.allCases)
    func decodesWhatItEncoded(preTokenizer: PreTokenizer) throws {
        let added = [
            AddedToken(id: 400, content: "<|end|>"), AddedToken(id: 401, content: "\u{301}é", isSpecial: false),
        ]
        let tokenizer = Tokenizer(
            try TokenizerFixture.definition(
                words: [" the", "\n\n", "    ", "ing", "é", "’", "👍"], added: added,
                options: TokenizerOptions(preTokenizer: preTokenizer)))
        var generator = SplitMix64(seed: 3)
        for round in 0..<300 {
            let text = String.random(count: round % 60, using: &generator) + (round % 3 == 0 ? " <|end|> the" : "")
            for parsing in [true, false] {
                let ids = tokenizer.encode(text, parsingSpecialTokens: parsing)
                #expect(isIdentical(tokenizer.decode(ids), text), "\(text.debugDescription)")
            }
        }
    }

    @Test func encodesNothingAsNothing() throws {
        for name in TokenizerFixture.names where name != "llama3" && name != "qwen2" {
            #expect(try TokenizerFixture.tokenizer(name).encode("") == [])
        }
        #expect(try TokenizerFixture.tokenizer("gpt2").decode([]) == "")
    }

    @Test func putsTheSpecialTokensAround() throws {
        let roles = TokenRoles(
            beginningOfText: 300, endOfText: 301, addsBeginningOfText: true, addsEndOfText: true)
        let added = [AddedToken(id: 300, content: "<s>"), AddedToken(id: 301, content: "</s>")]
        let tokenizer = Tokenizer(try TokenizerFixture.definition(added: added, roles: roles))
        #expect(tokenizer.encode("A") == [300, 65, 301])
        #expect(tokenizer.encode("") == [300, 301])
        #expect(tokenizer.encode("A", addingSpecialTokens: false) == [65])
        #expect(tokenizer.decode([300, 65, 301]) == "<s>A</s>")
        #expect(tokenizer.decode([300, 65, 301], skippingSpecialTokens: true) == "A")
    }

    @Test func takesSpecialTokensForTextUnlessAsked() throws {
        let tokenizer = Tokenizer(
            try TokenizerFixture.definition(added: [
                AddedToken(id: 300, content: "<s>"), AddedToken(id: 301, content: "<s>>"),
            ]))
        #expect(tokenizer.encode("<s>>a<s>") == [301, 97, 300])
        #expect(tokenizer.encode("<s>", parsingSpecialTokens: false) == [60, 115, 62])
        #expect(tokenizer.addedToken("<s>") == 300)
        #expect(tokenizer.addedToken("<x>") == nil)
        #expect(tokenizer.isSpecial(301) && !tokenizer.isSpecial(97))
    }

    @Test func decodesIDsWithoutATokenAsNothing() throws {
        let tokenizer = Tokenizer(try TokenizerFixture.definition(added: [AddedToken(id: 300, content: "<s>")]))
        #expect(tokenizer.decode([72, 280, 105, -1, 4_000_000, .max, .min]) == "Hi")
    }

    /// A text of n equal letters is one piece; quadratic time would take hours here.
    @Test(.timeLimit(.minutes(20)), arguments: PreTokenizer.allCases)
    func staysFastOnEndlessRuns(preTokenizer: PreTokenizer) throws {
        let letters = String(repeating: "a", count: 64)
        let definition = try TokenizerFixture.definition(
            words: [letters, "  ", "    "], options: TokenizerOptions(preTokenizer: preTokenizer))
        let tokenizer = Tokenizer(definition)
        for character in ["a", " ", "\n", "'", "\u{301}", "0"] {
            let text = String(repeating: character, count: 100_000)
            #expect(isIdentical(tokenizer.decode(tokenizer.encode(text)), text))
        }
    }

    @Test func composesForQwen() throws {
        let tokenizer = try TokenizerFixture.tokenizer("qwen2")
        let composed = tokenizer.encode("é \u{AC00} Å")
        #expect(tokenizer.encode("e\u{301} \u{1100}\u{1161} \u{212B}") == composed)
    }

    @Test func sharesOneTokenizerBetweenTasks() async throws {
        let tokenizer = try TokenizerFixture.tokenizer("llama3")
        let text = "The quick brown fox can't jump over 13 lazy dogs."
        let expected = tokenizer.encode(text)
        await withTaskGroup(of: [Int].self) { group in
            for _ in 0..<8 { group.addTask { tokenizer.encode(text) } }
            for await ids in group { #expect(ids == expected) }
        }
    }
}

@Suite struct CanonicalCompositionTests {
    /// Pairs from Unicode's NormalizationTest.txt and the characters that need their marks put in order.
    @Test(arguments: [
        ("e\u{301}", "\u{E9}"), ("\u{212B}", "\u{C5}"), ("\u{1100}\u{1161}\u{11A8}", "\u{AC01}"),
        ("a\u{315}\u{300}\u{5AE}b", "\u{E0}\u{5AE}\u{315}b"), ("\u{958}", "\u{915}\u{93C}"),
        ("\u{73E}\u{9BC}\u{F75}\u{301}", "\u{9BC}\u{F71}\u{F74}\u{73E}\u{301}"),
        ("a\u{1ABD}\u{301}", "\u{E1}\u{1ABD}"),  // U+1ABD is of Unicode 7
        ("a\u{1AE9}\u{35C}\u{301}", "a\u{1AE9}\u{301}\u{35C}"),  // U+1AE9 is of Unicode 17
        ("a\u{7FD}\u{301}", "a\u{7FD}\u{301}"),  // U+07FD is of Unicode 11
        ("\u{354}\u{F81}", "\u{F71}\u{F80}\u{354}"), ("\u{F73}\u{301}", "\u{F71}\u{F72}\u{301}"),
        ("abc é ñ", "abc é ñ"),
    ])
    func composes(text: String, expected: String) {
        #expect(isIdentical(CanonicalComposition.composed(text), expected))
    }

    @Test func leavesComposedTextAlone() {
        var generator = SplitMix64(seed: 9)
        for _ in 0..<200 {
            let once = CanonicalComposition.composed(.random(count: 30, using: &generator))
            #expect(isIdentical(CanonicalComposition.composed(once), once))
        }
    }
}
