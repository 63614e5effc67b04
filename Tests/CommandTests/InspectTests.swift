import Checkpoints
import ModelFixtures
import OrderedJSON
import Sparse
import Tensors
import Testing

@Suite struct InspectTests {
    private let scratch = ScratchFolder()

    private func inspect(_ model: TinyModel) throws -> JSON {
        try model.write(to: scratch.path("model"))
        return try Tool.run("inspect", "model", "--json", in: scratch).json()
    }

    @Test func describesTheModel() throws {
        let model = TinyModel()
        let json = try inspect(model)
        let expected: JSON = [
            "path": "model", "packed": false, "architecture": "llama", "layers": 2, "hidden_size": 64,
            "intermediate_size": 100, "heads": 4, "key_value_heads": 2, "head_size": 16, "context": 256,
            "vocabulary": 320, "tied_head": true, "rotary": ["base": 10000.0, "scaling": "none"],
        ]
        for (key, value) in expected.objectValue ?? [:] { #expect(json[key] == value, "\(key)") }
        let elements = (model.projections + model.others).reduce(0) { $0 + $1.shape.reduce(1, *) }
        #expect(json["parameters"]?.intValue == elements)
        let tokenizer = try #require(json["tokenizer"])
        #expect(tokenizer["kind"] == "byte-level BPE")
        #expect(tokenizer["pre_tokenizer"] == "smolLM")
        #expect(tokenizer["tokens"]?.intValue == TinyTokenizer.definition.tokenCount)
        #expect(tokenizer["special_tokens"] == 3)
        #expect(tokenizer["chat_template"] == true)
        let matrices = try #require(json["matrices"]?.arrayValue)
        #expect(matrices.compactMap { $0["name"]?.stringValue } == model.projections.map(\.name))
        #expect(matrices[6]["module"] == "mlp.down_proj")
        #expect(matrices[6]["rows"] == 64)
        #expect(matrices[6]["columns"] == 100)
        let others = try #require(json["other_tensors"]?.arrayValue)
        #expect(Set(others.compactMap { $0["name"]?.stringValue }) == Set(model.others.map(\.name)))
    }

    /// Of every family: the same matrices before and after packing, and no tensor that is not listed.
    @Test(arguments: FamilyFixture.all) func describesEveryFamily(fixture: FamilyFixture) throws {
        let checkpoint = try fixture.checkpoint
        func names(_ json: JSON, _ key: String) throws -> [String] {
            try #require(json[key]?.arrayValue).compactMap { $0["name"]?.stringValue }
        }
        let dense = try Tool.run("inspect", fixture.path, "--json", in: scratch).json()
        #expect(dense["architecture"] == checkpoint.configuration["model_type"])
        #expect(dense["parameters"]?.intValue == checkpoint.tensors.reduce(0) { $0 + $1.elementCount })
        let listed = try names(dense, "matrices") + names(dense, "other_tensors")
        #expect(Set(listed) == Set(checkpoint.tensors.map(\.name)) && Set(listed).count == listed.count)
        let packer = ModelPacker(
            checkpoint, matrices: try names(dense, "matrices"), pool: WorkerPool(threadCount: 1))
        let destination = ModelRewriter.Destination(
            path: scratch.path("packed"), overwriting: false, companions: { _ in })
        _ = try packer.pack(to: destination, choice: .fixed(.tiledBitmap))
        let packed = try Tool.run("inspect", "packed", "--json", in: scratch).json()
        #expect(try names(packed, "matrices") == names(dense, "matrices"))
        #expect(try Set(names(packed, "other_tensors")) == Set(names(dense, "other_tensors")))
        #expect(packed["parameters"] == dense["parameters"])
    }

    @Test(arguments: WeightType.allCases) func countsZerosInEveryType(type: WeightType) throws {
        let model = TinyModel(type: type, sparsity: 0.7)
        let json = try inspect(model)
        var zeros = 0
        for (matrix, projection) in zip(try #require(json["matrices"]?.arrayValue), model.projections) {
            let elements = model.elements(projection.name)
            let nonzeros = elements.count { $0 != 0 }
            #expect(matrix["nonzeros"]?.intValue == nonzeros)
            #expect(matrix["sparsity"]?.doubleValue == 1 - Double(nonzeros) / Double(elements.count))
            #expect(matrix["stored_type"]?.stringValue == type.rawValue.uppercased())
            #expect(matrix["dense_bytes"]?.intValue == 2 * elements.count)
            zeros += elements.count - nonzeros
        }
        let totals = try #require(json["totals"])
        let elements = try #require(totals["elements"]?.intValue)
        #expect(elements == model.projections.reduce(0) { $0 + $1.shape.reduce(1, *) })
        #expect(totals["nonzeros"]?.intValue == elements - zeros)
    }

    @Test(arguments: [0.0, 0.3, 0.9, 0.99]) func foreseesWhatPackingChooses(sparsity: Double) throws {
        let json = try inspect(TinyModel(type: .f16, sparsity: sparsity))
        let packed = try Tool.run("pack", "model", "-o", "packed", "--json", in: scratch).json()
        let after = try Tool.run("inspect", "packed", "--json", in: scratch).json()
        #expect(after["packed"] == true)
        let matrices = try #require(json["matrices"]?.arrayValue)
        #expect(matrices.count == 14)
        for (index, matrix) in matrices.enumerated() {
            for key in ["name", "format", "packed_bytes", "nonzeros"] {
                #expect(packed["matrices"]?.arrayValue?[index][key] == matrix[key], "\(key)")
                #expect(after["matrices"]?.arrayValue?[index][key] == matrix[key], "\(key)")
            }
        }
        #expect(after["totals"]?["sparsity"] == json["totals"]?["sparsity"])
        #expect(packed["totals"]?["packed_bytes"] == json["totals"]?["packed_bytes"])
    }

    @Test func readsShardsAndASeparateHead() throws {
        var model = TinyModel()
        model.shardCount = 3
        model.tiesHead = false
        model.chatTemplate = nil
        let json = try inspect(model)
        #expect(json["tied_head"] == false)
        #expect(json["tokenizer"]?["chat_template"] == false)
        #expect(json["other_tensors"]?.arrayValue?.contains { $0["name"] == "lm_head.weight" } == true)
    }

    @Test func namesTheRotaryScaling() throws {
        var model = TinyModel()
        model.configurationChanges = [
            (
                "rope_scaling",
                [
                    "rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                    "original_max_position_embeddings": 8192,
                ]
            )
        ]
        let rotary = try inspect(model)["rotary"]
        #expect(rotary?["scaling"] == "llama3")
        #expect(rotary?["factor"]?.doubleValue == 8)
        #expect(rotary?["original_context"]?.doubleValue == 8192)
        let text = try Tool.run("inspect", "model", in: scratch).output
        #expect(text.contains("rotary base 10000, Llama 3 scaling by 8 from 8192 tokens"))
    }

    @Test func worksWithoutATokenizer() throws {
        try TinyModel().write(to: scratch.path("whole"))
        try scratch.makeFolder("model")
        for name in ["config.json", "model.safetensors"] {
            try scratch.write(scratch.bytes("whole/" + name), to: "model/" + name)
        }
        let json = try Tool.run("inspect", "model", "--json", in: scratch).json()
        #expect(json["tokenizer"] == .null)
    }

    @Test func printsPlainTablesIntoAPipe() throws {
        try TinyModel(type: .bf16, sparsity: 0.5).write(to: scratch.path("model"))
        let outcome = try Tool.run("inspect", "model", in: scratch)
        #expect(outcome.status == 0)
        #expect(outcome.errors == "")
        #expect(outcome.output.allSatisfy { $0.isASCII && ($0 >= " " || $0 == "\n") })
        let lines = outcome.output.split(separator: "\n")
        // Each kind of matrix has a row in the table of what there is and one in that of why.
        #expect(lines.filter { $0.contains("tiled-bitmap") && $0.contains("memory-bound: ") }.count == 7)
        let rows = lines.filter { $0.contains("_proj") && !$0.contains("memory-bound: ") }
        #expect(rows.count == 7)
        #expect(rows.allSatisfy { $0.contains("BF16") && $0.contains("##") })
        #expect(lines.contains { $0.hasPrefix("14 matrices") })

        let all = try Tool.run("inspect", "model", "--all", in: scratch).output
        #expect(all.split(separator: "\n").filter { $0.contains("_proj") }.count == 2 * 14)
    }
}
