import OrderedJSON
import TestSupport
import Testing

@testable import Tokenizers

@Suite struct HuggingFaceTokenizerTests {
    /// A tokenizer.json as text, with parts replaced.
    private func file(_ replacements: (String, String)...) -> String {
        var text = #"""
            {"version": "1.0", "truncation": null, "padding": null,
             "added_tokens": [{"id": 3, "content": "<s>", "single_word": false, "lstrip": false, "rstrip": false,
                               "normalized": false, "special": true}],
             "normalizer": null,
             "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true},
             "post_processor": null,
             "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true},
             "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
                       "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                       "vocab": {"a": 0, "b": 1, "ab": 2}, "merges": ["a b"]}}
            """#
        for (old, new) in replacements {
            precondition(text.contains(old), "\(old) is part of the file")
            text = text.replacing(old, with: new)
        }
        return text
    }

    private func refusal(_ tokenizer: String, configuration: String? = nil) -> String {
        do throws(TokenizerError) {
            _ = try TokenizerDefinition(
                tokenizerJSON: Array(tokenizer.utf8), configurationJSON: configuration.map { Array($0.utf8) })
            return "nothing was refused"
        } catch { return error.description }
    }

    @Test func readsMergesInBothForms() throws {
        for text in [file(), file((#""a b""#, #"["a", "b"]"#))] {
            let definition = try TokenizerDefinition(tokenizerJSON: Array(text.utf8))
            #expect(Tokenizer(definition).encode("ab<s>b") == [2, 3, 1])
        }
    }

    @Test(arguments: [
        (#""type": "BPE""#, #""type": "WordPiece""#, #"model has the type "WordPiece", expected BPE or Unigram"#),
        (#""type": "BPE""#, #""type": "Unigram""#, #"model has the unknown key "dropout""#),
        (#""dropout": null"#, #""dropout": 0.1"#, "model.dropout is 0.1, expected null: ids must not depend on chance"),
        (
            #""byte_fallback": false"#, #""byte_fallback": true"#,
            "model.byte_fallback is true, which byte-level vocabularies don't use"
        ),
        (
            #""end_of_word_suffix": null"#, #""end_of_word_suffix": "</w>""#,
            #"model.end_of_word_suffix is "</w>", which byte-level vocabularies don't use"#
        ),
        (#""fuse_unk": false"#, #""fuse_unk": 1"#, "model.fuse_unk is an integer, expected a boolean"),
        (#""fuse_unk": false"#, #""fuse": false"#, #"model has the unknown key "fuse""#),
        (#""unk_token": null"#, #""unk_token": "x""#, #"tokenizer.json: the unk_token "x" is not in the vocabulary"#),
        (#""ab": 2"#, #""ab": 1"#, #"model.vocab gives "b" and "ab" the same id, 1"#),
        (#""ab": 2"#, #""ab": -1"#, #"model.vocab gives "ab" no id from 0 to 3999999"#),
        (#""ab": 2"#, #""ab": "2""#, #"model.vocab gives "ab" no id from 0 to 3999999"#),
        (#"["a b"]"#, "[7]", "model.merges[0] is an integer, expected a text or a pair of texts"),
        (#"["a b"]"#, #"[["a"]]"#, "model.merges[0] is an array, expected a text or a pair of texts"),
        (#""version": "1.0""#, #""version": "1.0", "extra": 1"#, #"tokenizer.json has the unknown key "extra""#),
        (
            #""normalizer": null"#, #""normalizer": {"type": "BertNormalizer"}"#,
            #"normalizer has the type "BertNormalizer", expected NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, "#
                + "Replace, Prepend, Strip, Precompiled or Sequence"
        ),
        (
            #""post_processor": null"#, #""post_processor": {"type": "BertProcessing"}"#,
            #"post_processor has the type "BertProcessing", expected ByteLevel, TemplateProcessing, "#
                + "RobertaProcessing or Sequence"
        ),
        (
            #""decoder": {"type": "ByteLevel""#, #""decoder": {"type": "WordPiece""#,
            #"decoder has the type "WordPiece", expected ByteLevel"#
        ),
        (#""special": true"#, #""special": "yes""#, "added_tokens[0].special is a string, expected a boolean"),
        (#""id": 3"#, #""id": null"#, "added_tokens[0] has no id or no content"),
    ])
    func refusesByName(part: String, replacement: String, expected: String) {
        let found = refusal(file((part, replacement)))
        #expect(found == expected)
    }

    @Test func refusesUnknownPreTokenizers() {
        let byteLevel = #"{"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": true}"#
        func refusal(_ preTokenizer: String) -> String { self.refusal(file((byteLevel, preTokenizer))) }
        #expect(refusal(#"{"type": "BertPreTokenizer"}"#).hasPrefix(#"pre_tokenizer has the type "BertPreTokenizer""#))
        #expect(refusal(#"{"type": "Metaspace", "replacement": "ab"}"#).contains(#"is "ab", expected one character"#))
        #expect(refusal(#"{"type": "Metaspace", "prepend_scheme": "last"}"#).contains(#"is "last", expected first"#))
        #expect(
            refusal(#"{"type": "Metaspace", "prepend_scheme": "first", "add_prefix_space": false}"#).contains(
                "expected never"))
        #expect(refusal(#"{"type": "Punctuation", "behavior": "Merged"}"#).contains(#"is "Merged", expected one of"#))
        #expect(
            refusal(#"{"type": "Sequence", "pretokenizers": [\#(byteLevel), {"type": "Digits"}]}"#).contains(
                "only supported as the last step"))
        let split = #"{"type": "Split", "pattern": {"Regex": "(a)\\1"}, "behavior": "Isolated", "invert": false}"#
        #expect(refusal(split).contains(#"has a reference to a capture at character 3, which is not supported"#))
        let none = #"{"type": "Split", "pattern": {"Glob": " "}, "behavior": "Isolated", "invert": false}"#
        #expect(refusal(none).contains(#"has the unknown key "Glob""#))
        let after = #"{"type": "Sequence", "decoders": [{"type": "Fuse"}, {"type": "ByteFallback"}]}"#
        let decoder = #"{"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true, "use_regex": true}"#
        #expect(
            self.refusal(file((byteLevel, #"{"type": "Whitespace"}"#), (decoder, after))).contains("comes behind Fuse"))
    }

    @Test func followsTheTemplateUnlessTheConfigurationSaysOtherwise() throws {
        let template = #"""
            "post_processor": {"type": "TemplateProcessing",
              "single": [{"SpecialToken": {"id": "<s>", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
              "pair": [], "special_tokens": {"<s>": {"id": "<s>", "ids": [3], "tokens": ["<s>"]}}}
            """#
        let text = file((#""post_processor": null"#, template))
        func roles(_ configuration: String?) throws -> TokenRoles {
            try TokenizerDefinition(
                tokenizerJSON: Array(text.utf8), configurationJSON: configuration.map { Array($0.utf8) }
            ).roles
        }
        #expect(try roles(nil) == TokenRoles(beginningOfText: 3, addsBeginningOfText: true))
        let named = #"{"bos_token": {"content": "<s>"}, "eos_token": "b", "pad_token": null}"#
        #expect(try roles(named) == TokenRoles(beginningOfText: 3, endOfText: 1, addsBeginningOfText: true))
        #expect(try roles(#"{"bos_token": "<s>", "add_bos_token": false}"#) == TokenRoles(beginningOfText: 3))
        #expect(refusal(text, configuration: #"{"bos_token": "a"}"#).contains("but bos_token is 0"))
        let outside = text.replacing(#""ids": [3]"#, with: #""ids": [70]"#)
        #expect(refusal(outside, configuration: "{}").contains("beginning-of-text token has the id 70"))
        #expect(
            refusal(text, configuration: #"{"bos_token": "x"}"#).contains(
                #"the bos_token "x" is not in the vocabulary"#))
        #expect(refusal(text, configuration: #"{"bos_token": 3}"#).contains("bos_token is an integer"))
        #expect(refusal(text, configuration: "[]") == "tokenizer_config.json is an array, expected an object")
        #expect(refusal(text, configuration: "{").hasPrefix("tokenizer_config.json: invalid JSON at byte 1"))
        #expect(
            refusal(file((#""post_processor": null"#, template.replacing(#""A""#, with: #""B""#)))).contains(
                "single[1]"))
    }

    @Test func takesAddedTokensFromTheConfiguration() throws {
        let configuration = #"""
            {"eos_token": "b", "added_tokens_decoder": {
              "3": {"content": "<s>", "lstrip": true, "normalized": false, "rstrip": false, "single_word": false,
                    "special": true},
              "4": {"content": "<t>", "lstrip": false, "normalized": false, "rstrip": false, "single_word": false,
                    "special": false}}}
            """#
        let definition = try TokenizerDefinition(
            tokenizerJSON: Array(file().utf8), configurationJSON: Array(configuration.utf8))
        #expect(
            definition.addedTokens == [
                AddedToken(id: 1, content: "b"), AddedToken(id: 3, content: "<s>", stripsLeft: true),
                AddedToken(id: 4, content: "<t>", isSpecial: false),
            ])
        let damaged = configuration.replacing("\"4\"", with: "\"x\"")
        #expect(refusal(file(), configuration: damaged).contains(#"has the key "x", expected an id"#))
        let moved = configuration.replacing("\"4\"", with: "\"2\"")
        #expect(refusal(file(), configuration: moved).contains(#"has the id 2, which belongs to "ab""#))
    }

    @Test func findsTheChatTemplate() throws {
        func template(_ text: String) throws -> String? {
            HuggingFaceConfiguration.chatTemplate(try JSON(parsing: text))
        }
        #expect(try template(#"{"chat_template": "x"}"#) == "x")
        #expect(
            try template(#"{"chat_template": [{"name": "t", "template": "y"}, {"name": "default", "template": "x"}]}"#)
                == "x")
        #expect(try template("{}") == nil)
    }

    /// Damaged files are read or refused; nothing else may happen. Those that are read must work.
    @Test func survivesMutations() throws {
        let original = Array(file().utf8)
        let configuration = Array(
            #"{"bos_token": "<s>", "eos_token": {"content": "a"}, "added_tokens_decoder": {"4": {"content": "<t>"}}}"#
                .utf8)
        var generator = SplitMix64(seed: 6)
        var readCount = 0
        for _ in 0..<4_000 {
            let bytes = mutated(original, using: &generator)
            guard
                let definition = try? TokenizerDefinition(
                    tokenizerJSON: bytes, configurationJSON: mutated(configuration, using: &generator))
            else { continue }
            readCount += 1
            let tokenizer = Tokenizer(definition)
            _ = tokenizer.decode(tokenizer.encode("abba<s> x"))
        }
        #expect(readCount > 0)
    }

    /// Values are swapped for others of any kind, so that damage gets past the JSON parser.
    @Test func survivesSwappedValues() throws {
        var values: [JSON] = [
            nil, true, 0, 3, -1, .integer(.max), 0.5, "", "a", "BPE", "Sequence", "Split", [], [:], [[]], ["a", "b"],
            ["type": "Sequence"],
        ]
        for name in TokenizerFixture.names {
            if case .object(let members) = TokenizerFixture.tokenizerJSON(name) {
                values += members.filter { !["model", "added_tokens"].contains($0.key) }.values
            }
        }
        var generator = SplitMix64(seed: 2)
        let original = try JSON(parsing: file())
        for _ in 0..<4_000 {
            var damaged = original
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                damaged = damaged.swapping(values, using: &generator)
            }
            guard let definition = try? TokenizerDefinition(huggingFaceTokenizer: damaged) else { continue }
            _ = Tokenizer(definition).encode("abba<s> x")
        }
    }

    private func mutated(_ original: [UInt8], using generator: inout SplitMix64) -> [UInt8] {
        var bytes = original
        for _ in 0..<Int.random(in: 0...2, using: &generator) {
            let index = Int.random(in: 0..<bytes.count, using: &generator)
            switch Int.random(in: 0..<4, using: &generator) {
            case 0: bytes[index] = .random(in: 0...255, using: &generator)
            case 1: bytes.remove(at: index)
            case 2: bytes[index] = UInt8(ascii: "0") + .random(in: 0...9, using: &generator)
            default: bytes.insert(bytes.randomElement(using: &generator)!, at: index)
            }
        }
        return bytes
    }
}
