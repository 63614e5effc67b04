import OrderedJSON
import Tensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct GGUFCheckpointTests {
    private let folder = TemporaryFolder()

    private func open(_ builder: GGUFBuilder) throws -> Checkpoint {
        try Checkpoint.open(path: folder.write(builder.file, to: "model.gguf"))
    }

    @Test func makesHuggingFacesConfiguration() throws {
        var builder = GGUFBuilder.llama()
        builder.add("tokenizer.ggml.bos_token_id", UInt32(1))
        builder.add("tokenizer.ggml.eos_token_id", UInt32(2))
        builder.addTensor("token_embd.weight", [64, 5], floats: [Float](repeating: 0, count: 320))
        let expected: JSON = [
            "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_act": "silu",
            "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 2,
            "max_position_embeddings": 2048, "rms_norm_eps": 1e-5, "rope_theta": 100000.0, "num_key_value_heads": 1,
            "head_dim": 32, "attention_bias": false, "mlp_bias": false, "vocab_size": 5, "tie_word_embeddings": true,
            "bos_token_id": 1, "eos_token_id": 2,
        ]
        #expect(try open(builder).configuration.text() == expected.text())
    }

    @Test func fillsInWhatGGUFLeavesOut() throws {
        var builder = GGUFBuilder.llama(
            except: ["llama.attention.head_count_kv", "llama.rope.freq_base", "llama.vocab_size"])
        builder.add("llama.attention.key_length", UInt32(16))
        builder.add("llama.rope.scaling.type", "linear")
        builder.add("llama.rope.scaling.factor", Float(2.5))
        builder.add("llama.rope.scaling.original_context_length", UInt32(512))
        builder.addTensor("token_embd.weight", [64, 7], floats: [Float](repeating: 0, count: 448))
        builder.addTensor("output.weight", [64, 7], floats: [Float](repeating: 0, count: 448))
        builder.addTensor("blk.0.attn_q.bias", [32], floats: [Float](repeating: 0, count: 32))
        builder.addTensor("rope_freqs.weight", [8], floats: [Float](repeating: 1, count: 8))
        let checkpoint = try open(builder)
        let configuration = checkpoint.configuration
        #expect(configuration["num_key_value_heads"] == 2)
        #expect(configuration["head_dim"] == 16)
        #expect(configuration["rope_theta"] == 10000.0)
        #expect(configuration["vocab_size"] == 7)
        #expect(configuration["attention_bias"] == true)
        #expect(configuration["tie_word_embeddings"] == false)
        let scaling: JSON = ["rope_type": "linear", "factor": 2.5, "original_max_position_embeddings": 512]
        #expect(configuration["rope_scaling"] == scaling)
        #expect(checkpoint["rope_freqs.weight"]?.shape == [8])
    }

    @Test(arguments: [
        "general.architecture", "llama.block_count", "llama.context_length", "llama.embedding_length",
        "llama.feed_forward_length", "llama.attention.head_count", "llama.attention.layer_norm_rms_epsilon",
    ])
    func namesAMissingKey(key: String) throws {
        let error = try #require(checkpointError { try open(GGUFBuilder.llama(except: [key])) })
        #expect(error.description.contains(key), "\(error)")
    }

    @Test func refusesWhatItCannotRun() throws {
        func sentence(_ change: (inout GGUFBuilder) -> Void, except: Set<String> = []) throws -> String {
            var builder = GGUFBuilder.llama(except: except)
            change(&builder)
            return try #require(checkpointError { try open(builder) }).description
        }
        let architecture: Set<String> = ["general.architecture"]
        #expect(
            try sentence({ $0.add("general.architecture", "mamba") }, except: architecture).contains(
                "expected llama or qwen2 or qwen3 or smollm3 or phi3 or gemma2 or gemma3 or gpt2, found \"mamba\""))
        #expect(try sentence { $0.add("llama.expert_count", UInt32(8)) }.contains("a model without experts, found 8"))
        #expect(try sentence { $0.add("split.count", UInt32(3)) }.contains("one file with all tensors"))
        #expect(try sentence { $0.add("llama.rope.dimension_count", UInt32(16)) }.contains("the size of a head, 32"))
        #expect(
            try sentence({ $0.add("llama.block_count", "many") }, except: ["llama.block_count"]).contains(
                "expected a positive integer, found a string"))
        #expect(
            try sentence({ $0.add("llama.rope.freq_base", Float.nan) }, except: ["llama.rope.freq_base"]).contains(
                "expected a finite number"))
        #expect(
            try sentence { $0.addTensor("blk.0.attn_q.weight", [64, 63], floats: [Float](repeating: 0, count: 4032)) }
                .contains("expected 2 heads of 32 rows, found 63 rows"))
        #expect(
            try sentence { builder in
                builder.addTensor("output.weight", [1], floats: [1])
                builder.addTensor("lm_head.weight", [1], floats: [1])
            }.contains("another tensor that is \"lm_head.weight\""))
    }

    @Test func translatesEveryName() throws {
        let names = [
            "token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
            "output.weight": "lm_head.weight", "blk.0.attn_norm.weight": "model.layers.0.input_layernorm.weight",
            "blk.12.attn_q.weight": "model.layers.12.self_attn.q_proj.weight",
            "blk.1.attn_k.bias": "model.layers.1.self_attn.k_proj.bias",
            "blk.1.attn_v.weight": "model.layers.1.self_attn.v_proj.weight",
            "blk.1.attn_output.weight": "model.layers.1.self_attn.o_proj.weight",
            "blk.1.ffn_norm.weight": "model.layers.1.post_attention_layernorm.weight",
            "blk.1.ffn_gate.weight": "model.layers.1.mlp.gate_proj.weight",
            "blk.1.ffn_up.weight": "model.layers.1.mlp.up_proj.weight",
            "blk.1.ffn_down.weight": "model.layers.1.mlp.down_proj.weight",
            // Not ours to translate.
            "rope_freqs.weight": "rope_freqs.weight", "blk.01.attn_q.weight": "blk.01.attn_q.weight",
            "blk.-1.attn_q.weight": "blk.-1.attn_q.weight", "blk.+1.attn_q.weight": "blk.+1.attn_q.weight",
            "blk.*.attn_q.weight": "blk.*.attn_q.weight", "blk.1.attn_q": "blk.1.attn_q", "": "", "...": "...",
        ]
        for (gguf, expected) in names { #expect(GGUFArchitecture.llama.configurationName(of: gguf) == expected) }
    }

    /// Rows are in order there; biases and norms of heads have Hugging Face's names.
    @Test(arguments: ["qwen2", "qwen3"]) func readsQwen(name: String) throws {
        var builder = GGUFBuilder.llama(architecture: name)
        builder.addTensor("token_embd.weight", [64, 5], floats: [Float](repeating: 0, count: 320))
        let bias = (0..<64).map { Float($0) }
        builder.addTensor("blk.0.attn_q.bias", [64], floats: bias)
        let norm = bias[..<32].map { $0 + 1 }
        builder.addTensor("blk.0.attn_q_norm.weight", [32], floats: norm)
        let checkpoint = try open(builder)
        #expect(checkpoint.configuration["model_type"] == .string(name))
        #expect(checkpoint.configuration["head_dim"] == 32)
        #expect(try checkpoint.floats("model.layers.0.self_attn.q_proj.bias") == bias)
        let normName = name == "qwen3" ? "model.layers.0.self_attn.q_norm.weight" : "blk.0.attn_q_norm.weight"
        #expect(try checkpoint.floats(normName) == norm)
    }

    /// Rows of queries and keys, interleaved as llama.cpp's converter does it: reshape to [heads, 2, size / 2,
    /// columns], swap the middle axes.
    @Test(arguments: [(1, 2, 1), (2, 4, 3), (9, 64, 5), (3, 6, 32)])
    func givesRowsInHuggingFacesOrder(heads: Int, size: Int, columns: Int) throws {
        func interleaved(_ values: [Float], columns: Int) -> [Float] {
            var stored: [Float] = []
            for head in 0..<heads {
                for pair in 0..<size / 2 {
                    for part in 0..<2 {
                        let row = head * size + part * (size / 2) + pair
                        stored += values[row * columns..<(row + 1) * columns]
                    }
                }
            }
            return stored
        }
        let rows = heads * size
        let weight = (0..<rows * columns).map { Float($0) }
        let bias = (0..<rows).map { Float(-$0) }
        var builder = GGUFBuilder.llama(
            width: UInt32(rows), heads: UInt32(heads), keyValueHeads: UInt32(heads))
        for module in ["attn_q", "attn_k"] {
            builder.addTensor(
                "blk.0.\(module).weight", [UInt64(columns), UInt64(rows)], floats: interleaved(weight, columns: columns)
            )
            builder.addTensor("blk.0.\(module).bias", [UInt64(rows)], floats: interleaved(bias, columns: 1))
        }
        builder.addTensor("blk.0.attn_v.weight", [UInt64(columns), UInt64(rows)], floats: weight)
        let checkpoint = try open(builder)
        for module in ["q_proj", "k_proj"] {
            let name = "model.layers.0.self_attn.\(module)"
            #expect(try checkpoint.floats(name + ".weight") == weight)
            #expect(try checkpoint.floats(name + ".bias") == bias)
            let part = 1..<max(rows - 1, 1)
            let expected = Array(weight[part.lowerBound * columns..<part.upperBound * columns])
            #expect(try checkpoint.floats(name + ".weight", rows: part) == expected)
            // In another order in the file, so never handed out as they lie there.
            let mapped: Storage<Float>? = try checkpoint.mappedElements(name + ".weight", stored: .f32)
            #expect(mapped == nil)
        }
        let value = "model.layers.0.self_attn.v_proj.weight"
        #expect(try checkpoint.floats(value) == weight)
        let mapped: Storage<Float>? = try checkpoint.mappedElements(value, stored: .f32)
        #expect(mapped.map { $0.array } == weight)
    }

    @Test func readsAnyRowsOfQuantisedWeights() throws {
        var generator = SplitMix64(seed: 21)
        var blocks: [UInt8] = []
        for _ in 0..<3 * 2 {
            blocks += [0x00, 0x38]  // 0.5
            blocks += (0..<32).map { _ in .random(in: 0...255, using: &generator) }
        }
        var builder = GGUFBuilder.llama()
        builder.addTensor("blk.0.ffn_up.weight", [64, 3], type: 8, bytes: blocks)
        let checkpoint = try open(builder)
        let name = "model.layers.0.mlp.up_proj.weight"
        let tensor = try #require(checkpoint[name])
        #expect(tensor.shape == [3, 64] && tensor.storedType == "Q8_0" && tensor.byteCount == 204)
        let expected = (0..<192).map { Float(Int8(bitPattern: blocks[$0 / 32 * 34 + 2 + $0 % 32])) * 0.5 }
        #expect(try checkpoint.floats(name) == expected)
        #expect(try checkpoint.floats(name, rows: 1..<2) == Array(expected[64..<128]))
        #expect(try checkpoint.floats(name, rows: 2..<2) == [])
        #expect(try checkpoint.halves(name, as: .f16) == expected.map { Float16($0).bitPattern })
        checkpoint.release(name)
        #expect(try checkpoint.floats(name, rows: 2..<3) == Array(expected[128...]))
    }

    @Test func namesTheWeightThatIsNotFinite() throws {
        var weight = [Float](repeating: 1, count: 64 * 64)
        weight[64 * 2 + 5] = .nan  // stored row 2 is row 1 of the first head
        var builder = GGUFBuilder.llama()
        builder.addTensor("blk.0.attn_q.weight", [64, 64], floats: weight)
        builder.addTensor("blk.0.ffn_norm.weight", [4], floats: [0, 1, 2, 70000])
        builder.addTensor("blk.0.attn_norm.weight", [4], floats: [0, -.infinity, 2, 3])
        let checkpoint = try open(builder)
        let query = try #require(checkpointError { try checkpoint.floats("model.layers.0.self_attn.q_proj.weight") })
        #expect(query.kind == .notFinite)
        #expect(
            query.description.hasSuffix(
                "q_proj.weight\", row 1, column 5: expected a finite number, found nan"
            ))
        let norm = "model.layers.0.post_attention_layernorm.weight"
        #expect(try checkpoint.floats(norm) == [0, 1, 2, 70000])
        let overflow = try #require(checkpointError { try checkpoint.halves(norm, as: .f16) })
        #expect(overflow.found == "70000.0, which f16 cannot hold")
        #expect(overflow.subject == "tensor \"\(norm)\", row 3, column 0")
        try checkpoint.checkFinite(norm)
        let infinite = try #require(
            checkpointError {
                try checkpoint.checkFinite("model.layers.0.input_layernorm.weight")
            })
        #expect(infinite.found == "-inf" && infinite.subject.contains("row 1, column 0"))
    }

    @Test func saysWhichTensorIsMissing() throws {
        let checkpoint = try open(GGUFBuilder.llama())
        let error = checkpointError { try checkpoint.floats("model.norm.weight") }
        #expect(error?.kind == .missing && error?.subject == "tensor \"model.norm.weight\"")
        #expect(checkpoint["model.norm.weight"] == nil)
    }
}
