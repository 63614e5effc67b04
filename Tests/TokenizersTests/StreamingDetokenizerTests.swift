import TestSupport
import Testing

@testable import Tokenizers

@Suite struct StreamingDetokenizerTests {
    /// One token per byte: id = byte.
    private func bytewise() throws -> Tokenizer {
        Tokenizer(try TokenizerFixture.definition(words: ["né", "€", "\u{1F600}x"]))
    }

    @Test func neverCutsACharacter() throws {
        let tokenizer = try bytewise()
        var stream = StreamingDetokenizer(tokenizer: tokenizer)
        let outputs = "aé€😀".utf8.map { stream.append(Int($0)) }
        #expect(outputs == ["a", "", "é", "", "", "€", "", "", "", "😀"])
        #expect(stream.finish() == "")
    }

    @Test func replacesWhatCanNoLongerBecomeACharacter() throws {
        let tokenizer = try bytewise()
        var stream = StreamingDetokenizer(tokenizer: tokenizer)
        #expect(stream.append(0xE2) == "")
        #expect(stream.append(0x82) == "")
        #expect(stream.append(0x41) == "\u{FFFD}A")
        #expect(stream.append(0xFF) == "\u{FFFD}")
        #expect(stream.append(0xED) == "")
        #expect(stream.append(0xA0) == "\u{FFFD}\u{FFFD}")  // a surrogate
        #expect(stream.append(0xF0) == "")
        #expect(stream.finish() == "\u{FFFD}")
        #expect(stream.finish() == "")
        #expect(stream.append(0x41) == "A")
    }

    @Test func skipsSpecialTokens() throws {
        let tokenizer = Tokenizer(try TokenizerFixture.definition(added: [AddedToken(id: 300, content: "<s>")]))
        var skipping = StreamingDetokenizer(tokenizer: tokenizer)
        #expect(skipping.append(0xC3) + skipping.append(300) + skipping.append(0xA9) == "é")
        var keeping = StreamingDetokenizer(tokenizer: tokenizer, skippingSpecialTokens: false)
        #expect(keeping.append(0xC3) + keeping.append(300) + keeping.append(0xA9) == "\u{FFFD}<s>\u{FFFD}")
    }

    /// Random bytes, valid or not, in random portions.
    @Test func outputsTogetherAreTheWholeText() throws {
        let tokenizer = try bytewise()
        var generator = SplitMix64(seed: 8)
        let awkward: [UInt8] = [
            0x00, 0x41, 0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0, 0xC2, 0xDF, 0xE0, 0xE1, 0xED, 0xEF, 0xF0, 0xF4,
            0xF5, 0xFF,
        ]
        for _ in 0..<5_000 {
            var ids = (0..<Int.random(in: 0...12, using: &generator)).map { _ in
                Int(awkward.randomElement(using: &generator)!)
            }
            if Bool.random(using: &generator) {
                ids.insert(
                    .random(in: 256..<tokenizer.definition.tokenCount, using: &generator),
                    at: .random(in: 0...ids.count, using: &generator))
            }
            var stream = StreamingDetokenizer(tokenizer: tokenizer)
            var text = ""
            for id in ids {
                let output = stream.append(id)
                // Each output ends at a character's end: decoding what was seen so far gives it as a prefix.
                text += output
            }
            text += stream.finish()
            #expect(isIdentical(text, tokenizer.decode(ids)), "\(ids)")
        }
    }
}
