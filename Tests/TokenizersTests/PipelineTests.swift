import OrderedJSON
import TestSupport
import Testing

@testable import Tokenizers

@Suite struct PipelineTests {
    private func decoded(_ steps: [DecoderStep], _ tokens: [String]) -> String {
        var stream = DecoderStream(steps)
        let bytes = tokens.flatMap { stream.append($0.utf8) } + stream.finish()
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func stripsTokensOrTheWholeText() {
        let strip = DecoderStep.strip(content: Array("_".utf8), start: 1, stop: 2)
        #expect(decoded([strip], ["_a_", "__b___", "c"]) == "a_b_c")
        #expect(decoded([.fuse, strip], ["_", "_a_", "__"]) == "_a_")
        #expect(decoded([.fuse, strip], ["a_", "_b", "_"]) == "a__b")
        #expect(decoded([.fuse, strip], []) == "")
    }

    @Test func replacesWholeRunsOfDamagedBytes() {
        let tokens = ["<0xC3>", "<0xA9>", "x", "<0xC3>", "<0x41>", "<0xZZ>"]
        #expect(decoded([.byteFallback, .fuse], tokens) == "éx\u{FFFD}\u{FFFD}<0xZZ>")
    }

    @Test func takesTheFirstTokensSpacesAway() {
        let space = Array("▁".utf8)
        #expect(decoded([.metaspace(space, removesFirst: true)], ["▁▁a", "▁b"]) == "a b")
        #expect(decoded([.metaspace(space, removesFirst: false)], ["▁▁a", "▁b"]) == "  a b")
    }

    @Test(arguments: [
        (SplitBehavior.isolated, ["a", "-", "-", "b"]), (.removed, ["a", "b"]), (.contiguous, ["a", "--", "b"]),
        (.mergedWithPrevious, ["a-", "-", "b"]), (.mergedWithNext, ["a", "-", "-b"]),
    ])
    func splitsAsThePackageDoes(behavior: SplitBehavior, expected: [String]) {
        var list = PieceList(Array("a--b".utf8), startsText: true)
        PreTokenizerStep.split(Pattern(literal: "-"), behavior, isInverted: false).apply(to: &list)
        #expect(list.pieces.map { String(decoding: list.bytes[$0], as: UTF8.self) } == expected)
    }

    private func normalized(_ step: NormalizerStep, _ text: String) -> String {
        String(decoding: TextPipeline(normalizers: [step]).normalized(Array(text.utf8)).bytes, as: UTF8.self)
    }

    /// Results are those of the `tokenizers` package.
    @Test(arguments: [
        (UnicodeForm.decomposed, "\u{E9}\u{AC01}", "e\u{301}\u{1100}\u{1161}\u{11A8}"),
        (.compatiblyComposed, "ﬁ①Ａ\u{385}", "fi1A \u{308}\u{301}"), (.compatiblyDecomposed, "\u{1E9B}", "s\u{307}"),
        (.compatiblyComposed, "\u{1D7D8}\u{32FF}", "0\u{32FF}"),  // U+32FF is of Unicode 12
    ])
    func normalizes(form: UnicodeForm, text: String, expected: String) {
        #expect(isIdentical(normalized(.form(form), text), expected))
    }

    @Test func changesTextStepByStep() {
        #expect(isIdentical(normalized(.lowercase, "ÀΣİ"), "àσi\u{307}"))
        #expect(isIdentical(normalized(.stripAccents, "e\u{301}\u{11A09}"), "e\u{11A09}"))
        #expect(normalized(.strip(left: true, right: false), " \u{3000}a ") == "a ")
        #expect(normalized(.prepend(Array("▁".utf8)), "") == "")
        #expect(normalized(.replace(Pattern(literal: ""), with: Array("-".utf8)), "ab") == "-a-b-")
    }

    /// Texts that look the same are different tokens.
    @Test func tellsEquivalentTokensApart() throws {
        let text = """
            {"added_tokens": [], "normalizer": null, "pre_tokenizer": null, "post_processor": null,
             "decoder": {"type": "Fuse"},
             "model": {"type": "BPE", "vocab": {"\u{E9}": 0, "e": 1, "\u{301}": 2, "e\u{301}": 3},
                       "merges": ["e \u{301}"]}}
            """
        let tokenizer = Tokenizer(try TokenizerDefinition(tokenizerJSON: Array(text.utf8)))
        #expect(tokenizer.encode("\u{E9}e\u{301}") == [0, 3])
        #expect(tokenizer.decode([0, 3]).unicodeScalars.count == 3)
    }

    @Test func readsVocabularyFiles() throws {
        let vocabulary: JSON = ["a": 0, "b": 1, "ab": 2, "</s>": 3, "<|endoftext|>": 4]
        let merges = "#version: 0.2\na b\n"
        let opt = try TokenizerDefinition(
            vocabulary: vocabulary, merges: merges,
            configuration: ["tokenizer_class": "GPT2Tokenizer", "bos_token": "</s>", "add_bos_token": true],
            specialTokens: ["bos_token": "a", "eos_token": ["content": "</s>"]], addedTokens: ["<x>": 5])
        #expect(Tokenizer(opt).encode("ab<x>") == [3, 2, 5])
        #expect(opt.roles.endOfText == 3)
        let gpt2 = try TokenizerDefinition(vocabulary: vocabulary, merges: merges)
        #expect(Tokenizer(gpt2).encode("ab<|endoftext|>") == [2, 4])
        #expect(gpt2.roles == TokenRoles(beginningOfText: 4, endOfText: 4))
        let named = try TokenizerDefinition(
            vocabulary: vocabulary, merges: merges, specialTokens: ["additional_special_tokens": ["</s>", "<x>"]],
            addedTokens: ["<x>": 5])
        #expect(named.specialIDs == [3, 4, 5])
        do throws(TokenizerError) {
            _ = try TokenizerDefinition(
                vocabulary: vocabulary, merges: merges, configuration: ["extra_special_tokens": ["image": "<i>"]])
            Issue.record("nothing was refused")
        } catch {
            #expect(error.description == #"the special token "<i>" of extra_special_tokens is not in the vocabulary"#)
        }
        do throws(TokenizerError) {
            _ = try TokenizerDefinition(
                vocabulary: vocabulary, merges: merges, configuration: ["tokenizer_class": "CLIPTokenizer"])
            Issue.record("nothing was refused")
        } catch { #expect(error.description.contains(#"the tokenizer_class "CLIPTokenizer""#)) }
    }

    @Test(arguments: ["tekken", "gpt-4o", "deepseek-v3", "deepseek-coder", "command-r", "deepseek-r1-qwen", "dbrx"])
    func readsGGUFPreTokenizers(name: String) throws {
        let zoo = TokenizerZoo.entries.first { $0.name == "pattern \(name == "gpt-4o" ? "gpt4o" : name)" }
        let tokens = (0...255).map { ByteAlphabet.text(of: [UInt8($0)]) }
        let tokenizer = Tokenizer(
            try TokenizerDefinition(
                ggufModel: "gpt2", preTokenizer: name, tokens: tokens, tokenTypes: nil, merges: [], roles: TokenRoles())
        )
        #expect(tokenizer.decode(tokenizer.encode("Ab 12中!")) == "Ab 12中!")
        guard let zoo else { return }
        // The same pieces as the tokenizer.json with these patterns.
        let reference = try zoo.definition().pipeline.preTokenizers
        for text in TokenizerZoo.texts {
            var first = PieceList(Array(text.utf8), startsText: true)
            var second = first
            for step in reference { step.apply(to: &first) }
            for step in tokenizer.definition.pipeline.preTokenizers { step.apply(to: &second) }
            #expect(first.pieces == second.pieces, "\(text.debugDescription)")
        }
    }

    /// Files of every kind with values swapped are read or refused; those that are read must work.
    @Test(arguments: TokenizerZoo.entries.filter { $0.file != nil })
    func survivesSwappedValues(entry: TokenizerZoo.Entry) {
        let values: [JSON] = [
            nil, true, 0, 3, -1, .integer(.max), 0.5, "", "a", "▁", "BPE", "Sequence", [], [:], ["a", "b"],
        ]
        var generator = SplitMix64(seed: 3)
        for _ in 0..<25 {
            guard case .object(var members) = entry.file! else { return }
            for _ in 0..<Int.random(in: 1...2, using: &generator) {
                let key = ["normalizer", "pre_tokenizer", "decoder", "post_processor", "model"].randomElement(
                    using: &generator)!
                members[key] = members[key]!.swapping(values, using: &generator)
            }
            guard let definition = try? TokenizerDefinition(huggingFaceTokenizer: .object(members)) else { continue }
            let tokenizer = Tokenizer(definition)
            for text in TokenizerZoo.texts.prefix(8) { _ = tokenizer.decode(tokenizer.encode(text)) }
        }
    }
}
