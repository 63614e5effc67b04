import OrderedJSON
import TestSupport
import Testing

@testable import Checkpoints

/// What Gemma's GGUF files say otherwise than Hugging Face's folders.
@Suite struct GGUFGemmaTests {
    private let folder = TemporaryFolder()

    private func open(_ builder: GGUFBuilder) throws -> Checkpoint {
        try Checkpoint.open(path: folder.write(builder.file, to: "model.gguf"))
    }

    /// Weights of norms hold the 1 that Gemma's decoder adds; all else is as it is.
    @Test(arguments: ["gemma2", "gemma3"]) func readsGemma(name: String) throws {
        var builder = GGUFBuilder.llama(architecture: name, layers: 7)
        builder.add("\(name).attention.sliding_window", UInt32(16))
        for index in 0..<8 { builder.addTensor("blk.\(index).ffn_norm.weight", [3], floats: [1.25, -0.5, 0]) }
        builder.addTensor("blk.0.post_ffw_norm.weight", [2], floats: [1, 3])
        builder.addTensor("blk.0.ffn_up.weight", [2, 1], floats: [1, 3])
        builder.addTensor("blk.1.post_ffw_norm.weight", [2], floats: [1, 1e38])
        let checkpoint = try open(builder)
        let layer = "model.layers.0."
        #expect(try checkpoint.floats(layer + "pre_feedforward_layernorm.weight") == [0.25, -1.5, -1])
        #expect(try checkpoint.floats(layer + "pre_feedforward_layernorm.weight", rows: 1..<2) == [-1.5])
        #expect(try checkpoint.floats(layer + "post_feedforward_layernorm.weight") == [0, 2])
        #expect(try checkpoint.halves(layer + "post_feedforward_layernorm.weight", as: .f16) == [0, 0x4000])
        #expect(try checkpoint.floats(layer + "mlp.up_proj.weight") == [1, 3])
        let large = "model.layers.1.post_feedforward_layernorm.weight"
        let overflow = try #require(checkpointError { try checkpoint.halves(large, as: .f16) })
        #expect(overflow.subject.contains("row 1, column 0") && overflow.found.hasSuffix("which f16 cannot hold"))
        let configuration = checkpoint.configuration
        #expect(configuration["model_type"] == (name == "gemma2" ? "gemma2" : "gemma3_text"))
        #expect(configuration["hidden_activation"] == "gelu_pytorch_tanh" && configuration["hidden_act"] == nil)
        #expect(configuration["query_pre_attn_scalar"] == 32 && configuration["sliding_window"] == 16)
        #expect(configuration["attn_logit_softcapping"] == (name == "gemma2" ? 50 : nil))
        #expect(configuration["final_logit_softcapping"] == (name == "gemma2" ? 30 : .null))
        #expect(configuration["rope_local_base_freq"] == (name == "gemma2" ? nil : 10000.0))
        let full = configuration["layer_types"]?.arrayValue?.map { $0 == "full_attention" }
        #expect(full == (1...7).map { $0 % (name == "gemma2" ? 2 : 6) == 0 })
    }

    @Test func readsWhatNewerFilesSayOfLayers() throws {
        func types(_ change: (inout GGUFBuilder) -> Void, except: Set<String> = []) throws -> JSON? {
            var builder = GGUFBuilder.llama(architecture: "gemma3", layers: 3, except: except)
            for index in 0..<3 { builder.addTensor("blk.\(index).ffn_norm.weight", [1], floats: [1]) }
            change(&builder)
            return try open(builder).configuration["layer_types"]
        }
        let (key, window) = ("gemma3.attention.sliding_window_pattern", "gemma3.attention.sliding_window")
        let (full, sliding): (JSON, JSON) = ("full_attention", "sliding_attention")
        #expect(try types { $0.add(window, UInt32(0)) } == [full, full, full])
        #expect(try types { _ in } == [full, full, full])
        let other = try types {
            $0.add(window, UInt32(4))
            $0.add(key, UInt32(2))
        }
        #expect(other == [sliding, full, sliding])
        let listed = try types {
            $0.add(window, UInt32(4))
            $0.add(key, [Int32(0), 1, 1])
        }
        #expect(listed == [full, sliding, sliding])
        func sentence(_ change: (inout GGUFBuilder) -> Void, except: Set<String> = []) throws -> String {
            try #require(checkpointError { _ = try types(change, except: except) }).description
        }
        let short = try sentence {
            $0.add(window, UInt32(4))
            $0.add(key, [Int32(0)])
        }
        #expect(short.contains("a yes or no for each of 3 layers, found 1 of type"))
        let none = try sentence {
            $0.add(window, UInt32(4))
            $0.add(key, UInt32(0))
        }
        #expect(none.contains("a positive integer or an array, found the integer 0"))
        #expect(try sentence { $0.add(window, Float(-1)) }.contains("a number of at least 0"))
        #expect(try sentence { $0.add("gemma3.final_logit_softcapping", Float.nan) }.contains("a number of at least 0"))
        // As many layers as no file has tensors for.
        let many = try types(
            {
                $0.add("gemma3.block_count", UInt32.max)
                $0.add(window, UInt32(4))
            }, except: ["gemma3.block_count"])
        #expect(many == nil)
    }

    @Test func refusesBasesThatGemma2HasNot() throws {
        var builder = GGUFBuilder.llama(architecture: "gemma2")
        builder.add("gemma2.rope.freq_base_swa", Float(500))
        let error = try #require(checkpointError { try open(builder) })
        #expect(error.description.contains("freq_base_swa\": expected the base of all layers, 100000.0, found 500.0"))
    }
}
