import Checkpoints
import ModelFixtures
import OrderedJSON
import Tensors
import Testing

/// What `export` writes, read by this program again; scripts/compare-exports holds it against other programs.
@Suite struct ExportTests {
    private let scratch = ScratchFolder()

    private func writeModel(_ type: WeightType = .f16, sparsity: Double = 0.7) throws -> TinyModel {
        var model = TinyModel(type: type, sparsity: sparsity)
        model.tiesHead = false
        try model.write(to: scratch.path("model"))
        return model
    }

    /// A tensor's elements as bytes of `type`.
    private func bytes(_ checkpoint: Checkpoint, _ name: String, as type: WeightType) throws -> [UInt8] {
        Array(try checkpoint.elements(name, as: type, pool: WorkerPool(threadCount: 1)))
    }

    private func expectSameWeights(_ folder: String, _ model: TinyModel, as type: WeightType? = nil) throws {
        let checkpoint = try Checkpoint.open(path: scratch.path(folder))
        let tensors = model.projections + model.others
        #expect(Set(checkpoint.tensors.map(\.name)) == Set(tensors.map(\.name)))
        let source = try Checkpoint.open(path: scratch.path("model"))
        for (name, shape) in tensors {
            #expect(checkpoint[name]?.shape == shape)
            let type = type ?? model.type
            #expect(try bytes(checkpoint, name, as: type) == bytes(source, name, as: type), "\(name)")
        }
    }

    private func logits(_ path: String) throws -> Double? {
        try scratch.write("The quick brown fox jumps over the lazy dog and the others.", to: "text")
        return try Tool.run("perplexity", path, "text", "--window", "32", "--json", "--pack", "none", in: scratch)
            .json()["perplexity"]?
            .doubleValue
    }

    @Test(arguments: WeightType.allCases, ["safetensors", "compressed-tensors"])
    func keepsEveryBitInAFolder(type: WeightType, format: String) throws {
        let model = try writeModel(type)
        let json = try Tool.run("export", "model", "-o", "out", "--format", format, "--json", in: scratch).json()
        #expect(json["format"]?.stringValue == format && json["path"] == "out" && json["type"] == .null)
        #expect(json["tensors"]?.intValue == (model.projections + model.others).count)
        try expectSameWeights("out", model)
        #expect(
            scratch.entries("out") == [
                "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            ])
        let configuration = try JSON(parsing: scratch.text("out/config.json"))
        let names: [WeightType: String] = [.f16: "float16", .bf16: "bfloat16", .f32: "float32"]
        #expect(configuration["torch_dtype"]?.stringValue == names[type])
        let file = try SafetensorsFile(path: scratch.path("out/model.safetensors"))
        // Readers that take every tensor for a weight of the model must find nothing else, and find it aligned.
        #expect(file.tensors.keys.allSatisfy { !$0.hasPrefix(SafetensorsFile.paddingPrefix) })
        for tensor in file.tensors.values {
            #expect(tensor.byteRange.lowerBound % tensor.encoding.bytesPerBlock == 0, "\(tensor.name)")
        }
        if format == "compressed-tensors" {
            #expect(json["sparse"]?["matrices"] == 14)
            let section = configuration["quantization_config"]
            #expect(section?["quant_method"] == "compressed-tensors")
            #expect(section?["sparsity_config"]?["format"] == "sparse-bitmask")
            #expect(section?["sparsity_config"]?["ignore"] == ["lm_head"])
            #expect(file.tensors["model.layers.0.mlp.up_proj.bitmask"]?.shape == [100, 8])
            #expect(file.tensors["model.layers.0.mlp.up_proj.weight"] == nil)
        } else {
            #expect(configuration["quantization_config"] == nil && json["sparse"] == .null)
        }
        #expect(scratch.entries() == ["model", "out"])
    }

    @Test(arguments: ["auto", "dense", "sliced-ellpack", "tiled-csl"]) func unpacks(format: String) throws {
        let model = try writeModel(sparsity: 0.9)
        #expect(try Tool.run("pack", "model", "-o", "packed", "--format", format, in: scratch).status == 0)
        #expect(try Tool.run("export", "packed", "-o", "out", in: scratch).status == 0)
        try expectSameWeights("out", model)
        #expect(try JSON(parsing: scratch.text("out/config.json"))["flash_llm"] == nil)
        #expect(
            try Tool.run("export", "packed", "-o", "sparse", "--format", "compressed-tensors", in: scratch).status == 0)
        try expectSameWeights("sparse", model)
        #expect(try Tool.run("export", "packed", "-o", "out.gguf", in: scratch).status == 0)
        try expectSameWeights("out.gguf", model)
    }

    /// Sparse folders of compressed-tensors are models like others.
    @Test func packsWhatItExported() throws {
        let model = try writeModel(.bf16, sparsity: 0.8)
        #expect(try Tool.run("export", "model", "-o", "ct", "--format", "compressed-tensors", in: scratch).status == 0)
        let inspected = try Tool.run("inspect", "ct", "--json", in: scratch).json()
        let expected = try Tool.run("inspect", "model", "--json", in: scratch).json()
        #expect(inspected["totals"]?["nonzeros"] == expected["totals"]?["nonzeros"])
        #expect(inspected["matrices"]?.arrayValue?[0]["stored_type"] == "BF16 bitmask")
        #expect(try Tool.run("pack", "ct", "-o", "packed", in: scratch).status == 0)
        #expect(try Tool.run("inspect", "packed", "--verify", in: scratch).status == 0)
        #expect(try JSON(parsing: scratch.text("packed/config.json"))["quantization_config"] == nil)
        #expect(try Tool.run("pack", "model", "-o", "direct", in: scratch).status == 0)
        let (first, second) = (try StoredModel(scratch.path("packed")), try StoredModel(scratch.path("direct")))
        for (name, _) in model.projections { #expect(try first.patterns(name) == second.patterns(name)) }
        #expect(
            try Tool.run("prune", "ct", "--sparsity", "0.9", "-o", "pruned", "--no-report", in: scratch).status == 0)
        let reference = try #require(try logits("model"))
        #expect(try logits("ct") == reference)
        #expect(try logits("packed").map { abs($0 / reference - 1) < 1e-3 } == true)
    }

    @Test(arguments: WeightType.allCases) func writesGGUF(type: WeightType) throws {
        let model = try writeModel(type)
        let json = try Tool.run("export", "model", "-o", "out.gguf", "--json", in: scratch).json()
        #expect(json["format"] == "gguf")
        #expect(json["bytes"]?.intValue == (try scratch.bytes("out.gguf").count))
        try expectSameWeights("out.gguf", model)
        let file = try GGUFFile(path: scratch.path("out.gguf"))
        #expect(file.metadata["general.architecture"]?.stringValue == "llama")
        #expect(file.metadata["general.name"]?.stringValue == "model")
        #expect(file.tensors["blk.0.attn_norm.weight"]?.type == .F32)
        #expect(file.tensors["blk.1.ffn_up.weight"]?.dimensions == [64, 100])
        let (before, after) = (
            try Checkpoint.open(path: scratch.path("model")), try Checkpoint.open(path: scratch.path("out.gguf"))
        )
        for key in [
            "model_type", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads",
            "num_key_value_heads", "head_dim", "vocab_size", "max_position_embeddings", "rms_norm_eps", "rope_theta",
            "tie_word_embeddings", "bos_token_id", "eos_token_id",
        ] { #expect(after.configuration[key] == before.configuration[key], "\(key)") }
        #expect(try logits("out.gguf") == logits("model"))

        // Back again, tokenizer and all.
        #expect(try Tool.run("export", "out.gguf", "-o", "back", in: scratch).status == 0)
        let tokenizer = try JSON(parsing: scratch.text("back/tokenizer.json"))
        let original = try JSON(parsing: scratch.text("model/tokenizer.json"))
        #expect(tokenizer["model"]?["merges"] == original["model"]?["merges"])
        // Behind ids without a token, added tokens are in the vocabulary, too.
        for (token, id) in original["model"]?["vocab"]?.objectValue ?? [:] {
            #expect(tokenizer["model"]?["vocab"]?[token] == id)
        }
        #expect(tokenizer["added_tokens"] == original["added_tokens"])
        let configurations = try ["back", "model"].map {
            try JSON(parsing: scratch.text($0 + "/tokenizer_config.json"))
        }
        #expect(configurations[0]["chat_template"] == configurations[1]["chat_template"])
        try expectSameWeights("back", model)
        // Vectors, f32 in a GGUF file, are of the matrices' type again, for readers that want all to be of one.
        let back = try Checkpoint.open(path: scratch.path("back"))
        #expect(back["model.norm.weight"]?.encoding.elementType == type.elementType)
    }

    @Test func roundsAsAsked() throws {
        let model = try writeModel(.f32, sparsity: 0.5)
        for type in [WeightType.f16, .bf16] {
            let name = "as-\(type.rawValue)"
            #expect(try Tool.run("export", "model", "-o", name, "--type", type.rawValue, in: scratch).status == 0)
            try expectSameWeights(name, model, as: type)
            #expect(
                try Checkpoint.open(path: scratch.path(name))["lm_head.weight"]?.encoding.elementType
                    == type.elementType)
        }
        #expect(try Tool.run("export", "model", "-o", "q8.gguf", "--type", "q8_0", in: scratch).status == 0)
        let file = try GGUFFile(path: scratch.path("q8.gguf"))
        #expect(file.tensors["blk.0.ffn_up.weight"]?.type == .Q8_0)
        #expect(file.tensors["blk.0.ffn_down.weight"]?.type == .F16)  // rows of 100 are no whole blocks
        let checkpoint = try Checkpoint.open(path: scratch.path("q8.gguf"))
        let name = "model.layers.0.mlp.up_proj.weight"
        let found = try bytes(checkpoint, name, as: .f32).withUnsafeBytes { Array($0.bindMemory(to: Float.self)) }
        let elements = model.elements(name)
        for start in stride(from: 0, to: elements.count, by: 32) {
            let step = elements[start..<start + 32].map(abs).max()! / 127
            // Half a step, and what the scale loses as f16.
            for index in start..<start + 32 { #expect(abs(found[index] - elements[index]) <= 0.57 * step) }
        }
    }

    @Test func writesTheFactorsOfLlama3() throws {
        var model = TinyModel()
        model.configurationChanges = [
            (
                "rope_scaling",
                [
                    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 64,
                ]
            )
        ]
        try model.write(to: scratch.path("model"))
        #expect(try Tool.run("export", "model", "-o", "out.gguf", in: scratch).status == 0)
        let checkpoint = try Checkpoint.open(path: scratch.path("out.gguf"))
        let factors = try bytes(checkpoint, "rope_freqs.weight", as: .f32).withUnsafeBytes {
            Array($0.bindMemory(to: Float.self))
        }
        // Wavelengths from 2 pi to 2 pi 10000^(7/8) against 64 tokens: the first is kept, the last divided by all of 8.
        #expect(factors.count == 8 && factors.first == 1 && factors.last == 8)
        #expect(factors == factors.sorted() && factors.contains { $0 > 1 && $0 < 8 })
        let (first, second) = (try #require(try logits("model")), try #require(try logits("out.gguf")))
        #expect(abs(first / second - 1) < 1e-4)
        #expect(try Tool.run("export", "out.gguf", "-o", "again.gguf", in: scratch).status == 0)
        #expect(try scratch.bytes("again.gguf").count == scratch.bytes("out.gguf").count)
        try Tool.run("export", "out.gguf", "-o", "folder", in: scratch).expectFailure(
            "tensor \"rope_freqs.weight\"", "expected rotary scaling that config.json can say")
    }

    @Test func keepsMatricesDenseThatWouldGrow() throws {
        _ = try writeModel(sparsity: 0)
        let outcome = try Tool.run("export", "model", "-o", "out", "--format", "compressed-tensors", in: scratch)
        #expect(outcome.status == 0 && outcome.output.contains("no matrix has zeros enough"))
        #expect(try JSON(parsing: scratch.text("out/config.json"))["quantization_config"] == nil)
    }

    @Test func refusesWhatMakesNoSense() throws {
        _ = try writeModel()
        try Tool.run("export", "model", "-o", "out", "--format", "ggfu", in: scratch).expectFailure(
            "there is no format 'ggfu': did you mean 'gguf'?", status: 64)
        try Tool.run("export", "model", "-o", "out", "--type", "f61", in: scratch).expectFailure(
            "there is no type 'f61'", status: 64)
        try Tool.run("export", "model", "-o", "out", "--type", "q8_0", in: scratch).expectFailure(
            "--type q8_0 is for --format gguf", status: 64)
        try Tool.run("export", "model", "-o", "o.gguf", "--format", "safetensors", in: scratch).expectFailure(
            "is a folder", status: 64)
        #expect(scratch.entries() == ["model"])
    }

    @Test func replacesAFileOnlyIfForced() throws {
        _ = try writeModel()
        try scratch.write("old", to: "out.gguf")
        try Tool.run("export", "model", "-o", "out.gguf", in: scratch).expectFailure(
            "out.gguf: the output file: expected a new file unless overwriting is asked for")
        #expect(try scratch.text("out.gguf") == "old")
        #expect(try Tool.run("export", "model", "-o", "out.gguf", "--force", in: scratch).status == 0)
        #expect(try GGUFFile(path: scratch.path("out.gguf")).tensors.count > 0)
        try Tool.run("export", "out.gguf", "-o", "out.gguf", "--force", in: scratch).expectFailure(
            "apart from the model that is read, found the same place")
        try scratch.makeFolder("folder.gguf")
        try Tool.run("export", "model", "-o", "folder.gguf", "--force", in: scratch).expectFailure("found a folder")
        #expect(scratch.entries() == ["folder.gguf", "model", "out.gguf"])
    }

    @Test func leavesNoFileWhenWritingFails() throws {
        _ = try writeModel()
        let outcome = try Tool.shell(
            "trap '' XFSZ; ulimit -f 32; exec \"$0\" export model -o out.gguf", in: scratch)
        outcome.expectFailure("cannot write", "File too large")
        #expect(scratch.entries() == ["model"])
    }

    @Test func refusesANaN() throws {
        var model = TinyModel()
        model.planted = ["model.layers.1.mlp.up_proj.weight": (5, .nan)]
        try model.write(to: scratch.path("model"))
        for output in ["out", "out.gguf"] {
            try Tool.run("export", "model", "-o", output, in: scratch).expectFailure(
                "model.layers.1.mlp.up_proj.weight", "expected a finite number")
        }
        #expect(scratch.entries() == ["model"])
    }

    /// What no decoder reads may lie in a folder, too, in any shape.
    @Test(arguments: [
        ("model.layers.0.self_attn.q_proj.bias", [0], "dimensions that are not zero, found [0]"),
        ("model.layers.0.self_attn.k_proj.bias", [3], "expected 2 heads of an even number of rows, found 3 rows"),
        ("model.norm.bias", [1, 1, 1, 1, 1], "expected one to 4 dimensions"),
    ])
    func refusesShapesThatGGUFHasNot(name: String, shape: [Int], sentence: String) throws {
        var model = TinyModel()
        model.added = [(name, shape)]
        try model.write(to: scratch.path("model"))
        try Tool.run("export", "model", "-o", "out.gguf", in: scratch).expectFailure(name, sentence)
        #expect(scratch.entries() == ["model"])
    }

    @Test func refusesPackedMatricesOfImpossibleSize() throws {
        _ = try writeModel()
        #expect(try Tool.run("pack", "model", "-o", "packed", in: scratch).status == 0)
        let text = try scratch.text("packed/config.json")
        let huge = """
            "matrices": {"huge": {"format": "dense", "values": "f16", "rows": 2147483647, "columns": 2147483647, \
            "nonzeros": 1},
            """
        try scratch.write(text.replacing("\"matrices\": {", with: huge), to: "packed/config.json")
        try Tool.run("export", "packed", "-o", "out", in: scratch).expectFailure(
            "tensor \"huge\"", "expected at most 1099511627776 elements")
        #expect(scratch.entries() == ["model", "packed"])
    }

    /// What the family says where config.json says nothing, and what GGUF has no word for.
    @Test func knowsWhatFamiliesLeaveOut() throws {
        var qwen3 = TinyModel(type: .f16)
        (qwen3.headSize, qwen3.headCount, qwen3.keyValueHeadCount) = (128, 2, 1)
        qwen3.configurationChanges = [("model_type", "qwen3"), ("head_dim", .null)]
        qwen3.added = (0..<2).flatMap { layer in
            ["q_norm", "k_norm"].map { ("model.layers.\(layer).self_attn.\($0).weight", [128]) }
        }
        try qwen3.write(to: scratch.path("qwen3"))
        #expect(try Tool.run("export", "qwen3", "-o", "qwen3.gguf", in: scratch).status == 0)
        let configuration = try Checkpoint.open(path: scratch.path("qwen3.gguf")).configuration
        #expect(configuration["head_dim"] == 128 && configuration["model_type"] == "qwen3")
        #expect(try logits("qwen3.gguf") == logits("qwen3"))

        var qwen2 = TinyModel(type: .f16)
        qwen2.configurationChanges = [
            ("model_type", "qwen2"), ("use_sliding_window", true), ("sliding_window", 16), ("max_window_layers", 0),
        ]
        qwen2.added = (0..<2).flatMap { layer in
            [("q_proj", 64), ("k_proj", 32), ("v_proj", 32)].map {
                ("model.layers.\(layer).self_attn.\($0.0).bias", [$0.1])
            }
        }
        try qwen2.write(to: scratch.path("qwen2"))
        try Tool.run("export", "qwen2", "-o", "qwen2.gguf", in: scratch).expectFailure("a window of 16 tokens")
    }
}
