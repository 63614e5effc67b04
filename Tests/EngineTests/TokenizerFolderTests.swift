import Checkpoints
import Engine
import Foundation
import ModelFixtures
import OrderedJSON
import Testing
import Tokenizers

/// Folders without a tokenizer.json.
@Suite struct TokenizerFolderTests {
    private let folder = ScratchFolder()

    /// A tiny model with other tokenizer files than its own.
    private func bundle(_ files: [String: [UInt8]]) throws -> TokenizerBundle {
        try TinyModel().write(to: folder.path("model"))
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            try FileManager.default.removeItem(atPath: folder.path("model/" + name))
        }
        for (name, bytes) in files { try folder.write(bytes, to: "model/" + name) }
        return try TokenizerBundle(Checkpoint.open(path: folder.path("model")))
    }

    @Test func opensVocabularyAndMerges() throws {
        let tokenizer = try #require(TinyTokenizer.files(chatTemplate: nil).tokenizer["model"])
        let merges = tokenizer["merges"]!.arrayValue!.map { $0.stringValue! }
        let bundle = try bundle([
            "vocab.json": Array(tokenizer["vocab"]!.text().utf8),
            "merges.txt": Array(("#version: 0.2\n" + merges.joined(separator: "\n") + "\n").utf8),
            "tokenizer_config.json": Array(#"{"tokenizer_class": "GPT2Tokenizer"}"#.utf8),
            "added_tokens.json": Array(#"{"<|end|>": 300}"#.utf8),
        ])
        let ids = Tokenizer(bundle.definition).encode("the and<|end|>")
        #expect(ids == Tokenizer(TinyTokenizer.definition).encode("the and") + [300])
        #expect(bundle.definition.kindName == "byte-level BPE")
    }

    @Test func opensSentencePieceAndWritesItFromGGUF() throws {
        let digits = Array("0123456789ABCDEF")
        let tokens =
            ["<unk>", "<s>", "</s>"] + (0..<256).map { "<0x\(digits[$0 / 16])\(digits[$0 % 16])>" } + ["▁", "a", "▁a"]
        let types = [2, 3, 3] + [Int](repeating: 6, count: 256) + [1, 1, 1]
        let definition = try TokenizerDefinition(
            ggufModel: "llama", preTokenizer: nil, tokens: tokens, tokenTypes: types,
            scores: [Float](repeating: 0, count: 259) + [-2, -3, -1], merges: [],
            roles: TokenRoles(beginningOfText: 1, endOfText: 2, unknown: 0))
        let files = try HuggingFaceTokenizerFiles(definition)
        let bundle = try bundle([
            "tokenizer.model": files.sentencePieceModel!,
            "tokenizer_config.json": Array(files.configuration.text().utf8),
        ])
        #expect(Tokenizer(bundle.definition).encode("a b") == [1, 261, 259, 3 + 98])
        #expect(bundle.definition.kindName == "SentencePiece BPE")
        let writer = try FolderWriter(path: folder.path("copy"))
        try bundle.write(to: writer)
        try writer.finish()
        #expect(try folder.bytes("copy/tokenizer.model") == files.sentencePieceModel)
    }

    @Test func namesWhatIsMissing() throws {
        do {
            _ = try bundle(["vocab.json": Array("{}".utf8)])
            Issue.record("nothing was refused")
        } catch let error as CheckpointError {
            let expected = "a tokenizer.json, a tokenizer.model, or a vocab.json with a merges.txt"
            #expect(error.description.contains(expected))
        }
    }
}
