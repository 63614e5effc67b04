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

    /// Runs the tool to its end, its output going to a file.
    ///
    /// From a small process in between: one that this process starts itself would count this one's memory as its own,
    /// because it shares it until it begins.
    /// - Returns: the most memory that it has had, in bytes.
    private func peakMemory(_ command: String) throws -> Int {
        let script = """
            import resource, subprocess, sys
            subprocess.run(sys.argv[1:], stdout=open("output", "w"), check=True)
            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
            """
        let outcome = try Tool.shell("python3 -c '\(script)' \"$0\" \(command)", in: scratch)
        #expect(outcome.status == 0, "\(outcome.errors)")
        let peak = try #require(Int(outcome.output.trimmingCharacters(in: .whitespacesAndNewlines)))
        #if canImport(Darwin)
        return peak
        #else
        return peak << 10
        #endif
    }

    @Test func inspectsASampleInLittleMemory() throws {
        try writeModel()
        let peak = try peakMemory("inspect model --json")
        // Less would be a small process's, not the tool's.
        #expect(peak > 15 << 20 && peak < 200 << 20, "\(peak >> 20) MiB")
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
