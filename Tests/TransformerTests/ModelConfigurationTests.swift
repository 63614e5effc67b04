import OrderedJSON
import Testing
import ModelFixtures

@testable import Transformer

@Suite struct ModelConfigurationTests {
    private static let valid = TinyModel().configuration.objectValue!

    private static func configuration(_ key: String, _ value: JSON?) throws -> ModelConfiguration {
        var members = valid
        members[key] = value
        return try ModelConfiguration(.object(members))
    }

    @Test func readsSizes() throws {
        let configuration = try ModelConfiguration(.object(Self.valid))
        #expect(configuration.family.name == "llama")
        #expect(configuration.queryWidth == 64)
        #expect(configuration.keyValueWidth == 32)
        #expect(configuration.vocabularySize == 320)
        #expect(configuration.normEpsilon == 1e-5)
        #expect(configuration.endIDs == [TinyTokenizer.endID])
        #expect(configuration.beginningID == TinyTokenizer.beginningID)
        #expect(configuration.tiesHead)
    }

    @Test func fillsInWhatMayBeMissing() throws {
        #expect(try Self.configuration("num_key_value_heads", nil).keyValueHeadCount == 4)
        #expect(try Self.configuration("num_key_value_heads", .null).keyValueHeadCount == 4)
        #expect(try Self.configuration("head_dim", nil).headSize == 16)
        #expect(try Self.configuration("max_position_embeddings", nil).maximumContext == 2048)
        #expect(try Self.configuration("rms_norm_eps", nil).normEpsilon == 1e-6)
        #expect(try Self.configuration("rope_theta", nil).rotary?.base == 10_000)
        #expect(try Self.configuration("tie_word_embeddings", nil).tiesHead == false)
        #expect(try Self.configuration("eos_token_id", nil).endIDs == [])
        #expect(try Self.configuration("eos_token_id", .null).endIDs == [])
        #expect(try Self.configuration("eos_token_id", [1, 2]).endIDs == [1, 2])
        // Some writers put whole numbers as 2.0.
        #expect(try Self.configuration("num_hidden_layers", 2.0).layerCount == 2)
    }

    @Test(arguments: ["hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "vocab_size"])
    func namesTheSizeThatIsMissing(key: String) {
        #expect(throws: ModelError("\(key) in config.json", expected: "an integer", found: "no entry")) {
            try Self.configuration(key, nil)
        }
    }

    @Test(
        arguments: [
            "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "num_key_value_heads",
            "head_dim", "vocab_size", "max_position_embeddings",
        ])
    func refusesSizesOutOfRange(key: String) {
        let bad: [JSON] = [
            0, -1, 2.5, "many", true, [], .integer(.max), .integer(.min), .number(1e300), .number(.nan),
            .integer(1 << 32),
        ]
        for value in bad {
            #expect {
                try Self.configuration(key, value)
            } throws: {
                "\($0)".hasPrefix("\(key) in config.json: expected an integer in 1...") && "\($0)".contains(", found ")
            }
        }
    }

    @Test(
        arguments: [
            ("num_key_value_heads", 3, "a divisor of 4 heads", "3"),
            ("num_key_value_heads", 8, "a divisor of 4 heads", "8"),
            ("head_dim", 15, "an even width", "15"), ("head_dim", 1, "an even width", "1"),
            ("rms_norm_eps", 0, "between 0 and 1", "0.0"), ("rms_norm_eps", -1e-5, "between 0 and 1", "-1e-05"),
            ("rms_norm_eps", 1, "between 0 and 1", "1.0"), ("rms_norm_eps", .number(.nan), "between 0 and 1", "nan"),
            ("hidden_act", "gelu", "\"silu\" or \"gelu_pytorch_tanh\"", "\"gelu\""),
            ("attention_bias", 1, "true or false", "1"),
            (
                "model_type", "mamba",
                "one of llama, mistral, qwen2, qwen3, smollm3, phi3, gemma2, gemma3_text, opt, gpt2", "\"mamba\""
            ), ("model_type", nil, "a string", "no entry"),
            ("model_type", 3, "a string", "no entry"),
        ] as [(String, JSON?, String, String)])
    func refusesWhatItCannotRun(key: String, value: JSON?, expected: String, found: String) {
        #expect(throws: ModelError("\(key) in config.json", expected: expected, found: found)) {
            try Self.configuration(key, value)
        }
    }

    @Test func refusesHeadsThatAreTooWide() {
        #expect(throws: ModelError("head_dim in config.json", expected: "an even width", found: "4098")) {
            try Self.configuration("head_dim", 4098)
        }
    }

    /// Whatever a hostile file says, sizes stay in a range where no product of them overflows.
    @Test func boundsEveryProduct() throws {
        var members = Self.valid
        for key in ["hidden_size", "intermediate_size", "num_attention_heads", "num_key_value_heads"] {
            members[key] = .integer(1 << 20)
        }
        members["num_hidden_layers"] = 1024
        members["head_dim"] = 4096
        members["vocab_size"] = .integer(1 << 23)
        members["max_position_embeddings"] = .integer(1 << 24)
        let largest = try ModelConfiguration(.object(members))
        #expect(largest.queryWidth == 1 << 32)
        #expect(KeyValueCache.bytesPerBlock(largest, element: .f32) == 1 << 49)
    }

    @Test(arguments: [.null, [], "llama", 3, true, [:]] as [JSON]) func refusesWhatIsNoConfiguration(json: JSON) {
        #expect(throws: ModelError("model_type in config.json", expected: "a string", found: "no entry")) {
            try ModelConfiguration(json)
        }
    }
}
