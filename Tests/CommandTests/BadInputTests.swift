import Foundation
import ModelFixtures
import OrderedJSON
import TestSupport
import Testing

/// Every bad input ends in one sentence, a failing exit code, and nothing written.
@Suite struct BadInputTests {
    private let scratch = ScratchFolder()

    /// Runs the three commands on `model`, each of which must fail with one sentence that has `parts`.
    private func expectRefusal(
        _ parts: String..., model: String = "model", commands: [String] = ["inspect", "prune", "pack"],
        sourceLocation: SourceLocation = #_sourceLocation
    ) throws {
        let before = scratch.entries()
        for command in commands {
            let options =
                switch command {
                case "prune": ["--sparsity", "0.5", "-o", "out"]
                case "pack": ["-o", "out"]
                default: [String]()
                }
            let outcome = try Tool.start([command, model] + options, in: scratch).wait()
            for part in parts { outcome.expectFailure(part, sourceLocation: sourceLocation) }
            #expect(scratch.entries() == before, "\(command)", sourceLocation: sourceLocation)
        }
    }

    private func write(_ change: (inout TinyModel) -> Void = { _ in }) throws {
        var model = TinyModel()
        change(&model)
        try model.write(to: scratch.path("model"))
    }

    /// Replaces bytes of the weights' file by as many others.
    private func replace(_ text: String, with other: String) throws {
        let bytes = try scratch.bytes("model/model.safetensors")
        let range = try #require(Data(bytes).range(of: Data(text.utf8)))
        var changed = bytes
        precondition(text.utf8.count == other.utf8.count)
        changed.replaceSubrange(range, with: other.utf8)
        try scratch.write(changed, to: "model/model.safetensors")
    }

    @Test func refusesTruncatedWeights() throws {
        try write()
        let whole = try scratch.bytes("model/model.safetensors")
        for count in [0, 1, 7, 8, 9, 100, whole.count / 2, whole.count - 1] {
            try scratch.write(Array(whole[..<count]), to: "model/model.safetensors")
            try expectRefusal("model/model.safetensors")
        }
        try scratch.write(whole + [0], to: "model/model.safetensors")
        try expectRefusal("model/model.safetensors: the data: expected")
    }

    @Test func refusesFilesOfOtherKinds() throws {
        try scratch.write([], to: "empty.gguf")
        try expectRefusal("empty.gguf", model: "empty.gguf")
        try scratch.write("GGML and more of it, but no GGUF", to: "wrong.gguf")
        try expectRefusal("wrong.gguf", "expected", "found", model: "wrong.gguf")
        try scratch.write("GGUF", to: "short.gguf")
        try expectRefusal("short.gguf", model: "short.gguf")
        try scratch.makeFolder("bare")
        try expectRefusal("bare", model: "bare")
        try scratch.write([UInt8](repeating: 0xFF, count: 64), to: "bare/model.safetensors")
        try scratch.write("{}", to: "bare/config.json")
        try expectRefusal("bare/model.safetensors: the header's length", model: "bare")
    }

    @Test func refusesUnknownModels() throws {
        try expectRefusal("did you mean 'smollm2-135m'?", model: "smollm2-135")
        try expectRefusal("there is no model at ./nothing", model: "./nothing")
        try expectRefusal("has not been pulled yet", model: "smollm2-135m")
    }

    @Test func refusesMissingTensors() throws {
        for name in [
            "model.embed_tokens.weight", "model.norm.weight", "model.layers.1.mlp.up_proj.weight",
            "model.layers.0.input_layernorm.weight",
        ] {
            try write { $0.omitted = [name] }
            try expectRefusal("model: tensor \"\(name)\": expected it among the tensors, found none")
            try FileManager.default.removeItem(atPath: scratch.path("model"))
        }
    }

    @Test func refusesShapesThatDoNotFit() throws {
        let shapes: [(String, [Int])] = [
            ("model.layers.0.mlp.down_proj.weight", [100, 64]), ("model.layers.1.self_attn.k_proj.weight", [64, 32]),
            ("model.embed_tokens.weight", [64, 320]), ("model.norm.weight", [8, 8]),
            ("model.layers.0.self_attn.q_proj.weight", [4096]),
        ]
        for (name, shape) in shapes {
            try write { $0.reshaped = [name: shape] }
            try expectRefusal("tensor \"\(name)\": expected shape", "found \(shape)")
            try FileManager.default.removeItem(atPath: scratch.path("model"))
        }
    }

    @Test func refusesConfigurations() throws {
        let changes: [(String, JSON, String)] = [
            ("model_type", "mamba", "model: model_type in config.json: expected one of llama, mistral, qwen2, "),
            ("hidden_size", 0, "hidden_size"), ("hidden_size", 128, "expected shape [64, 128]"),
            ("num_hidden_layers", 3, "model.layers.2."), ("num_hidden_layers", 1_000_000_000_000, "num_hidden_layers"),
            ("num_key_value_heads", 3, "num_key_value_heads"), ("vocab_size", 100, "expected shape [100, 64]"),
            ("head_dim", -2, "head_dim"), ("intermediate_size", "100", "intermediate_size"),
            ("tie_word_embeddings", false, "lm_head.weight"), ("flash_llm", [:], "flash_llm.format_version"),
            ("flash_llm", ["format_version": 99], "expected 1 to 2, found 99"),
        ]
        for (key, value, part) in changes {
            try write { $0.configurationChanges = [(key, value)] }
            try expectRefusal(part)
            try FileManager.default.removeItem(atPath: scratch.path("model"))
        }
        try write()
        for text in ["", "{", "[]", "{\"model_type\": \"llama\", \"model_type\": \"llama\"}", "\u{0}"] {
            try scratch.write(text, to: "model/config.json")
            try expectRefusal("model/config.json")
        }
    }

    @Test func refusesOddHeaders() throws {
        try write()
        try replace("0.self_attn.v_proj.weight", with: "0.self_attn.k_proj.weight")
        try expectRefusal("model/model.safetensors: the header: expected a JSON object", "k_proj")
        try write { _ in try? FileManager.default.removeItem(atPath: scratch.path("model")) }
        try replace("\"dtype\":\"F16\",\"shape\":[100,64]", with: "\"dtype\":\"I16\",\"shape\":[100,64]")
        try expectRefusal("_proj.weight", "found I16")
    }

    @Test(arguments: [Float.nan, -.infinity]) func refusesWhatIsNotFinite(value: Float) throws {
        for name in [
            "model.layers.0.self_attn.v_proj.weight", "model.layers.1.mlp.down_proj.weight",
            "model.embed_tokens.weight", "model.layers.1.input_layernorm.weight",
        ] {
            try write {
                $0.type = .bf16
                $0.planted = [name: (index: 7, value: value)]
            }
            try expectRefusal("\"\(name)\"", "row", "finite")
            try FileManager.default.removeItem(atPath: scratch.path("model"))
        }
    }

    @Test func refusesWhatSixteenBitsCannotHold() throws {
        let name = "model.layers.1.mlp.gate_proj.weight"
        try write {
            $0.type = .f32
            $0.planted = [name: (index: 65, value: 1e6)]
        }
        try expectRefusal(name, "row 1, column 1")
    }

    @Test func refusesTokenizers() throws {
        try write()
        for text in ["", "{", "{}", "[1]", "\u{FEFF}"] {
            try scratch.write(text, to: "model/tokenizer.json")
            try expectRefusal("model")
        }
        try FileManager.default.removeItem(atPath: scratch.path("model/tokenizer.json"))
        // Weights alone can be looked at, not made into a model.
        try expectRefusal("model: the tokenizer: expected a tokenizer.json", commands: ["prune", "pack"])
    }

    /// Damage anywhere in a model's files may leave a model that is different and valid, never a crash or a
    /// half-written folder.
    @Test func survivesDamageAnywhere() throws {
        try write()
        var generator = SplitMix64(seed: 11)
        let files = try scratch.entries("model").map { ($0, try scratch.bytes("model/" + $0)) }
        for round in 0..<60 {
            let (name, whole) = files[round % files.count]
            var damaged = whole
            // The head of a file is where its structure is.
            let place = Int.random(in: 0..<min(whole.count, 4000), using: &generator)
            damaged[place] = UInt8.random(in: 0...255, using: &generator)
            try scratch.write(damaged, to: "model/" + name)
            let outcome = try Tool.run("pack", "model", "-o", "out", in: scratch)
            if outcome.status == 0 {
                #expect(try Tool.run("inspect", "out", "--verify", in: scratch).status == 0)
                try FileManager.default.removeItem(atPath: scratch.path("out"))
            } else {
                outcome.expectFailure("model")
            }
            #expect(scratch.entries() == ["model"])
            try scratch.write(whole, to: "model/" + name)
        }
    }
}
