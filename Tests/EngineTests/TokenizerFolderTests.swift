import Checkpoints
import Foundation
import ModelFixtures
import OrderedJSON
import Testing
import Tokenizers

@testable import Engine

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

    /// Three special tokens, all bytes, and three pieces.
    private static let sentencePieceTokens: [String] = {
        let digits = Array("0123456789ABCDEF")
        let bytes = (0..<256).map { "<0x\(digits[$0 / 16])\(digits[$0 % 16])>" }
        return ["<unk>", "<s>", "</s>"] + bytes + ["▁", "a", "▁a"]
    }()

    private static func sentencePiece() throws -> TokenizerDefinition {
        try TokenizerDefinition(
            ggufModel: "llama", preTokenizer: nil, tokens: sentencePieceTokens,
            tokenTypes: [2, 3, 3] + [Int](repeating: 6, count: 256) + [1, 1, 1],
            scores: [Float](repeating: 0, count: 259) + [-2, -3, -1], merges: [],
            roles: TokenRoles(beginningOfText: 1, endOfText: 2, unknown: 0))
    }

    /// GGUF has no words for a tokenizer.json such as Llama's and Gemma's; the tokenizer.model beside it is the same
    /// tokenizer, unless its tokens are others.
    @Test(arguments: [true, false]) func writesGGUFFromTheTokenizerModel(isTheSame: Bool) throws {
        let files = try HuggingFaceTokenizerFiles(Self.sentencePiece())
        var tokens = Self.sentencePieceTokens
        if !isTheSame { tokens.swapAt(5, 6) }
        let members = tokens.enumerated().map { "\(JSON.string($0.element).text()): \($0.offset)" }
        let specials = (0..<3).map { id -> JSON in
            ["id": .integer(id), "content": .string(tokens[id]), "special": true]
        }
        let json: JSON = [
            "added_tokens": .array(specials),
            "normalizer": ["type": "Replace", "pattern": ["String": " "], "content": "▁"],
            "decoder": [
                "type": "Sequence",
                "decoders": [
                    ["type": "Replace", "pattern": ["String": "▁"], "content": " "], ["type": "ByteFallback"],
                ],
            ],
            "model": [
                "type": "BPE", "unk_token": "<unk>", "byte_fallback": true,
                "vocab": try JSON(parsing: Array("{\(members.joined(separator: ","))}".utf8)), "merges": [["▁", "a"]],
            ],
        ]
        let bundle = try bundle([
            "tokenizer.json": Array(json.text().utf8), "tokenizer.model": files.sentencePieceModel!,
            "tokenizer_config.json": Array(files.configuration.text().utf8),
        ])
        #expect(bundle.definition.kindName == "BPE")
        #expect(try bundle.sentencePieceTwin()?.kindName == (isTheSame ? "SentencePiece BPE" : nil))
    }

    @Test func opensSentencePieceAndWritesItFromGGUF() throws {
        let files = try HuggingFaceTokenizerFiles(Self.sentencePiece())
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
