import TestSupport
import Testing

@testable import Tokenizers

@Suite struct PieceScannerTests {
    private func pieces(_ text: String, _ preTokenizer: PreTokenizer) -> [String] {
        Array(text.utf8).withUnsafeBufferPointer { bytes in
            var scanner = PieceScanner(bytes, preTokenizer: preTokenizer)
            var pieces: [String] = []
            while let range = scanner.next() { pieces.append(String(decoding: bytes[range], as: UTF8.self)) }
            return pieces
        }
    }

    @Test(arguments: PreTokenizer.allCases)
    func coversEveryTextWithNonEmptyPieces(preTokenizer: PreTokenizer) {
        var generator = SplitMix64(seed: 5)
        for round in 0..<500 {
            let text = String.random(count: round % 50, using: &generator)
            let pieces = pieces(text, preTokenizer)
            #expect(isIdentical(pieces.joined(), text))
            #expect(pieces.allSatisfy { !$0.isEmpty })
        }
    }

    @Test func splitsAsGPT2() {
        #expect(pieces("Hello  world, it's 2024!", .gpt2) == ["Hello", " ", " world", ",", " it", "'s", " 2024", "!"])
        #expect(pieces("a\n\n b  ", .gpt2) == ["a", "\n\n", " b", "  "])
        #expect(pieces("a\nb\t\tc", .gpt2) == ["a", "\n", "b", "\t", "\t", "c"])
        #expect(pieces("I'LL we'll ''s '", .gpt2) == ["I", "'", "LL", " we", "'ll", " ''", "s", " '"])
        #expect(pieces("x²½ ٣٤", .gpt2) == ["x", "²½", " ٣٤"])
        #expect(pieces("\u{A0}a", .gpt2) == ["\u{A0}", "a"])
    }

    @Test func splitsDigitsAsSmolLM() {
        #expect(pieces("in 2024, x12", .smolLM) == ["in", " ", "2", "0", "2", "4", ",", " x", "1", "2"])
        #expect(pieces("a   1  b", .smolLM) == ["a", "   ", "1", " ", " b"])
        #expect(pieces("½'s", .smolLM) == ["½", "'s"])
    }

    @Test func splitsAsLlama3() {
        #expect(pieces("I'LL say 1234567.", .llama3) == ["I", "'LL", " say", " ", "123", "456", "7", "."])
        #expect(pieces("if (x) {\n\n  y;\r\n}", .llama3) == ["if", " (", "x", ")", " {\n\n", " ", " y", ";\r\n", "}"])
        #expect(pieces(" \n \n  a", .llama3) == [" \n \n", " ", " a"])
        #expect(pieces("\tfoo-bar.baz", .llama3) == ["\tfoo", "-bar", ".baz"])
        #expect(pieces("  \n", .llama3) == ["  \n"])
        #expect(pieces("a  ", .llama3) == ["a", "  "])
    }

    @Test func splitsAsQwen2() {
        #expect(pieces("x = 42;", .qwen2) == ["x", " =", " ", "4", "2", ";"])
    }

    /// Case folding takes the long s for an s, and nothing else beyond ASCII for a letter of a contraction.
    @Test func foldsTheLongS() {
        #expect(pieces("'ſx", .llama3) == ["'ſ", "x"])
        #expect(pieces("'ſx", .gpt2) == ["'", "ſx"])
        #expect(pieces("'\u{212A}x", .llama3) == ["'\u{212A}x"])
        #expect(pieces("'rE'Ve'lm", .qwen2) == ["'rE", "'Ve", "'lm"])
    }

    /// Ids must not change when the standard library learns of new characters.
    @Test func knowsLettersAndNumbersOfUnicode16() {
        #expect(ScalarClass(0x088F) == .other)  // a letter since Unicode 17
        #expect(ScalarClass(0x11DE0) == .recentNumber)  // a digit since Unicode 17
        #expect(ScalarClass(0x105C0) == .letter)  // a letter since Unicode 16
        #expect(ScalarClass(0x16D70) == .number)  // a digit since Unicode 16
        #expect(ScalarClass(0x3000) == .space)
        #expect(ScalarClass(0x200B) == .other)
        #expect(ScalarClass(0x10FFFF) == .other)
    }
}
