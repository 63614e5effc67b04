import Testing

@testable import Checkpoints

@Suite struct TokenizerSourceTests {
    private let folder = TemporaryFolder()

    private func tokenizer(_ builder: GGUFBuilder) throws -> GGUFTokenizer {
        let checkpoint = try Checkpoint.open(path: folder.write(builder.file, to: "model.gguf"))
        guard case .gguf(let tokenizer) = try checkpoint.tokenizerSource() else {
            throw CheckpointError(.damaged, path: "", subject: "", expected: "a GGUF tokenizer", found: "a folder")
        }
        return tokenizer
    }

    private func builder() -> GGUFBuilder {
        var builder = GGUFBuilder.llama()
        builder.add("tokenizer.ggml.model", "gpt2")
        builder.add("tokenizer.ggml.tokens", ["<|end|>", "a", "\u{120}b"])
        return builder
    }

    @Test func readsTheVocabulary() throws {
        var builder = builder()
        builder.add("tokenizer.ggml.pre", "smollm")
        builder.add("tokenizer.ggml.merges", ["a \u{120}b"])
        builder.add("tokenizer.ggml.token_type", [3, 1, 1])
        builder.add("tokenizer.ggml.bos_token_id", UInt32(1))
        builder.add("tokenizer.ggml.eos_token_id", UInt32(0))
        builder.add("tokenizer.ggml.padding_token_id", UInt32.max)
        builder.add("tokenizer.ggml.add_bos_token", false)
        builder.add("tokenizer.chat_template", "{{ messages }}")
        let tokenizer = try tokenizer(builder)
        #expect(tokenizer.model == "gpt2" && tokenizer.pre == "smollm")
        #expect(tokenizer.tokens == ["<|end|>", "a", "\u{120}b"])
        #expect(tokenizer.tokenTypes == [3, 1, 1] && tokenizer.scores == [])
        #expect(tokenizer.merges == ["a \u{120}b"])
        #expect(tokenizer.beginningID == 1 && tokenizer.endID == 0)
        #expect(tokenizer.paddingID == nil && tokenizer.unknownID == nil && tokenizer.endOfTurnID == nil)
        #expect(tokenizer.addsBeginning == false && tokenizer.addsEnd == nil)
        #expect(tokenizer.chatTemplate == "{{ messages }}")
    }

    @Test func refusesDamage() throws {
        func sentence(_ change: (inout GGUFBuilder) -> Void) throws -> String {
            var builder = builder()
            change(&builder)
            return try #require(checkpointError { try tokenizer(builder) }).description
        }
        #expect(try sentence { $0.add("tokenizer.ggml.eos_token_id", UInt32(3)) }.contains("an id below 3, found 3"))
        #expect(try sentence { $0.add("tokenizer.ggml.token_type", [1]) }.contains("expected 3 elements, found 1"))
        #expect(try sentence { $0.add("tokenizer.ggml.merges", [1]) }.contains("expected an array of strings"))
        #expect(try sentence { $0.add("tokenizer.ggml.pre", true) }.contains("expected a string, found a boolean"))
        #expect(
            try #require(checkpointError { try tokenizer(GGUFBuilder.llama()) }).description.contains(
                "metadata \"tokenizer.ggml.model\": expected a string, found no such key"))
    }

    @Test func refusesTokensThatAreNoText() throws {
        var builder = GGUFBuilder.llama()
        builder.add("tokenizer.ggml.model", "gpt2")
        let strings = GGUFBuilder.bytes("ok") + GGUFBuilder.bytes(UInt64(1)) + [0xFF]
        builder.add(
            "tokenizer.ggml.tokens", type: 9, GGUFBuilder.bytes(UInt32(8)) + GGUFBuilder.bytes(UInt64(2)) + strings)
        let error = try #require(checkpointError { try tokenizer(builder) })
        #expect(error.description.contains("element 1 of \"tokenizer.ggml.tokens\": expected UTF-8"))
    }
}
