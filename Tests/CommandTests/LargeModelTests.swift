import Foundation
import ModelFixtures
import OrderedJSON
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// A model far larger than what reading it may take of memory: 7 billion weights in files that are all holes.
@Suite struct LargeModelTests {
    private let scratch = ScratchFolder()

    /// Llama 2 7B in float16, two files with an index.
    private func writeModel() throws {
        try scratch.makeFolder("model")
        let (hidden, inner, layers, vocabulary) = (4096, 11008, 32, 32000)
        var tensors: [(name: String, shape: [Int])] = [("model.embed_tokens.weight", [vocabulary, hidden])]
        for layer in 0..<layers {
            let prefix = "model.layers.\(layer)."
            for name in ["q_proj", "k_proj", "v_proj", "o_proj"] {
                tensors.append(("\(prefix)self_attn.\(name).weight", [hidden, hidden]))
            }
            tensors.append(("\(prefix)mlp.gate_proj.weight", [inner, hidden]))
            tensors.append(("\(prefix)mlp.up_proj.weight", [inner, hidden]))
            tensors.append(("\(prefix)mlp.down_proj.weight", [hidden, inner]))
            for name in ["input_layernorm", "post_attention_layernorm"] {
                tensors.append(("\(prefix)\(name).weight", [hidden]))
            }
        }
        tensors += [("model.norm.weight", [hidden]), ("lm_head.weight", [vocabulary, hidden])]
        var map: JSON = [:]
        for (file, shard) in [("a.safetensors", tensors.prefix(150)), ("b.safetensors", tensors.dropFirst(150))] {
            var header: JSON = [:]
            var offset = 0
            for (name, shape) in shard {
                let end = offset + shape.reduce(2, *)
                header = header.adding(
                    name,
                    [
                        "dtype": "F16", "shape": .array(shape.map(JSON.integer)),
                        "data_offsets": [.integer(offset), .integer(end)],
                    ])
                map = map.adding(name, .string(file))
                offset = end
            }
            let text = Array(header.text().utf8)
            let length = withUnsafeBytes(of: UInt64(text.count).littleEndian, Array.init)
            try scratch.write(length + text, to: "model/" + file)
            try #require(truncate(scratch.path("model/" + file), 8 + text.count + offset) == 0)
        }
        try scratch.write(JSON.object(["weight_map": map]).text(), to: "model/model.safetensors.index.json")
        let configuration: JSON = [
            "model_type": "llama", "hidden_size": .integer(hidden), "intermediate_size": .integer(inner),
            "num_hidden_layers": .integer(layers), "num_attention_heads": 32, "vocab_size": .integer(vocabulary),
            "rms_norm_eps": 1e-5,
        ]
        try scratch.write(configuration.text(), to: "model/config.json")
    }

    /// Runs the tool to its end.
    /// - Returns: the most memory that it has had, in bytes.
    private func peakMemory(_ arguments: [String]) throws -> Int {
        try scratch.write(TestProfile().text, to: "profile.json")
        func duplicated(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] { texts.map { strdup($0) } + [nil] }
        var words = duplicated([Tool.path] + arguments)
        var variables = duplicated([
            "FLASH_LLM_PROFILE=\(scratch.path("profile.json"))", "FLASH_LLM_HOME=\(scratch.path("no-cache"))",
        ])
        defer { for word in words + variables { free(word) } }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, scratch.path("output"), O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        var identifier: pid_t = 0
        try #require(posix_spawn(&identifier, Tool.path, &actions, nil, &words, &variables) == 0)
        var (status, usage) = (Int32(0), rusage())
        try #require(wait4(identifier, &status, 0, &usage) == identifier)
        #expect(status == 0)
        #if canImport(Darwin)
        return usage.ru_maxrss
        #else
        return usage.ru_maxrss << 10
        #endif
    }

    @Test func inspectsASampleInLittleMemory() throws {
        try writeModel()
        let peak = try peakMemory(["inspect", scratch.path("model"), "--json"])
        #expect(peak < 200 << 20, "\(peak >> 20) MiB")
        let json = try JSON(parsing: scratch.text("output"))
        #expect(json["sampled_rows"] == 64)
        #expect(json["parameters"] == 6_738_415_616)
        #expect(json["totals"]?["sparsity"] == 1.0)
        let matrices = try #require(json["matrices"]?.arrayValue)
        #expect(matrices.count == 224 && matrices.allSatisfy { $0["format"] != "dense" && $0["nonzeros"] == 0 })
        // A small model is read whole.
        try TinyModel().write(to: scratch.path("small"))
        #expect(try Tool.run("inspect", "small", "--json", in: scratch).json()["sampled_rows"] == .null)
    }
}

extension JSON {
    fileprivate func adding(_ key: String, _ value: JSON) -> JSON {
        var members = objectValue ?? [:]
        members[key] = value
        return .object(members)
    }
}
