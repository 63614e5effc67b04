import OrderedJSON
import TestSupport
import Testing

@testable import Tokenizers

/// Against the `tokenizers` and `sentencepiece` packages, through `Fixtures/zoo.json`.
@Suite struct TokenizerZooTests {
    @Test func coversEveryKind() throws {
        let kinds = Set(try TokenizerZoo.entries.map { try $0.definition().kindName })
        #expect(kinds == ["byte-level BPE", "BPE", "unigram", "SentencePiece BPE", "SentencePiece unigram"])
        #expect(TokenizerZoo.texts.count == 305)
    }

    @Test(arguments: TokenizerZoo.entries)
    func givesTheReferencesIDs(entry: TokenizerZoo.Entry) throws {
        let tokenizer = Tokenizer(try entry.definition())
        #expect(entry.idPrints.count == TokenizerZoo.texts.count)
        for (index, text) in TokenizerZoo.texts.enumerated() {
            let adds = index % 3 != 2
            // `sentencepiece` finds no control tokens in texts.
            let ids = tokenizer.encode(
                text, addingSpecialTokens: adds, parsingSpecialTokens: adds && entry.model == nil)
            if index % 2 == 0, index / 2 < entry.ids.count {
                #expect(ids == entry.ids[index / 2], "\(text.debugDescription)")
            }
            // Zero: the package gave up.
            if entry.idPrints[index] == 0 { continue }
            #expect(TokenizerZoo.print(ids) == entry.idPrints[index], "\(text.debugDescription): \(ids)")
        }
    }

    @Test(arguments: TokenizerZoo.entries.filter { $0.long != nil })
    func givesTheReferencesIDsOfALongText(entry: TokenizerZoo.Entry) throws {
        let long = try #require(entry.long)
        let ids = Tokenizer(try entry.definition()).encode(
            String(repeating: TokenizerZoo.lettersTexts, count: long.count), addingSpecialTokens: false,
            parsingSpecialTokens: false)
        #expect(TokenizerZoo.print(ids) == long.print)
    }

    @Test(arguments: TokenizerZoo.entries)
    func givesTheReferencesText(entry: TokenizerZoo.Entry) throws {
        let tokenizer = Tokenizer(try entry.definition())
        for (index, text) in TokenizerZoo.texts.enumerated() where entry.idPrints[index] != 0 {
            let adds = index % 3 != 2
            let ids = tokenizer.encode(
                text, addingSpecialTokens: adds, parsingSpecialTokens: adds && entry.model == nil)
            let skips = index % 2 == 0 || entry.model != nil
            let decoded = tokenizer.decode(ids, skippingSpecialTokens: skips)
            #expect(
                TokenizerZoo.print(decoded.utf8) == entry.textPrints[index],
                "\(text.debugDescription): \(decoded.debugDescription)")
        }
    }

    /// What is shown piece by piece is what the whole decodes to, also where a model says what no text encodes to.
    @Test(arguments: TokenizerZoo.entries)
    func streamsWhatItDecodes(entry: TokenizerZoo.Entry) throws {
        let tokenizer = Tokenizer(try entry.definition())
        var generator = SplitMix64(seed: 4)
        let count = tokenizer.definition.tokenCount
        for round in 0..<60 {
            let ids = (0..<round % 30).map { _ in
                // Byte tokens come first in most vocabularies, and are what goes wrong.
                Int.random(in: 0..<(Bool.random(using: &generator) ? min(count, 260) : count + 3), using: &generator)
            }
            var stream = StreamingDetokenizer(tokenizer: tokenizer, skippingSpecialTokens: round % 2 == 0)
            var text = ""
            for id in ids { text += stream.append(id) }
            text += stream.finish()
            let whole = tokenizer.decode(ids, skippingSpecialTokens: round % 2 == 0)
            #expect(isIdentical(text, whole), "\(ids)")
            #expect(stream.finish().isEmpty)
        }
    }

    /// One letter or space again and again must not take quadratic time.
    @Test(.timeLimit(.minutes(10)), arguments: TokenizerZoo.entries.filter { !$0.name.hasPrefix("split") })
    func staysFastOnEndlessRuns(entry: TokenizerZoo.Entry) throws {
        let tokenizer = Tokenizer(try entry.definition())
        for character in ["a", " ", "\u{301}"] {
            let text = String(repeating: character, count: 15_000)
            // A space may become three bytes, and so may one in front.
            #expect(tokenizer.encode(text).count <= 3 * text.utf8.count + 4)
        }
    }
}
