import Checkpoints
import ModelFixtures
import OrderedJSON
import Sparse
import Tensors
import Testing

/// `pack --values`: integers in packed folders.
@Suite struct QuantizedPackTests {
    private let scratch = ScratchFolder()

    private func matrix(_ stored: StoredModel, _ name: String) throws -> QuantizedMatrix? {
        if case .quantized(let matrix) = try stored.packed?.matrix(name) { matrix } else { nil }
    }

    @Test(arguments: QuantizedCoding.allCases, ScaleGroup.allCases)
    func storesIntegers(coding: QuantizedCoding, group: ScaleGroup) throws {
        let model = TinyModel(type: .bf16, sparsity: 0.6)
        try model.write(to: scratch.path("model"))
        let json = try Tool.run(
            "pack", "model", "-o", "packed", "--values", coding.rawValue, "--group", group.rawValue, "--json",
            in: scratch
        ).json()
        #expect(json["matrices"]?.arrayValue?.count == 14)
        let stored = try StoredModel(scratch.path("packed"))
        let packed = try #require(stored.packed)
        for (index, (name, _)) in model.projections.enumerated() {
            let matrix = try #require(try matrix(stored, name))
            #expect(matrix.coding == coding && matrix.group == group && matrix.positions == .bitmap)
            let entry = json["matrices"]?.arrayValue?[index]
            #expect(entry?["values"]?.stringValue == coding.rawValue)
            #expect(entry?["group"]?.stringValue == group.rawValue)
            #expect(entry?["packed_bytes"]?.intValue == matrix.storedByteCount)
            #expect(entry?["nonzeros"]?.intValue == matrix.countNonzeros())
            let weights = Storage(model.bytes(name))
            let expected = try QuantizedMatrix(
                DenseMatrix(rows: matrix.rows, columns: matrix.columns, element: .bf16, bytes: weights),
                coding: coding, group: group)
            #expect(matrix.values.elementsEqual(expected.values) && matrix.scales.elementsEqual(expected.scales))
        }
        for name in packed.names { try packed.check(name) }
        #expect(stored.checkpoint.configuration["flash_llm"]?["format_version"] == 2)
        #expect(try Tool.run("inspect", "packed", "--verify", in: scratch).status == 0)
    }

    /// Folders without integers are still those that older programs read.
    @Test func keepsTheVersionOfExactFolders() throws {
        try TinyModel(type: .f16, sparsity: 0.6).write(to: scratch.path("model"))
        #expect(try Tool.run("pack", "model", "-o", "packed", in: scratch).status == 0)
        let stored = try StoredModel(scratch.path("packed"))
        #expect(stored.checkpoint.configuration["flash_llm"]?["format_version"] == 1)
    }

    @Test(arguments: ["i8", "i4"], [true, false]) func quantizesTheHead(head: String, tied: Bool) throws {
        var model = TinyModel(type: .f16, sparsity: 0.6)
        model.tiesHead = tied
        try model.write(to: scratch.path("model"))
        let json = try Tool.run("pack", "model", "-o", "packed", "--head", head, "--json", in: scratch).json()
        let tables = ["model.embed_tokens.weight"] + (tied ? [] : ["lm_head.weight"])
        #expect(json["matrices"]?.arrayValue?.count == 14 + tables.count)
        let stored = try StoredModel(scratch.path("packed"))
        for name in tables {
            let matrix = try #require(try matrix(stored, name))
            #expect(matrix.coding.rawValue == head && matrix.positions == .dense && matrix.group == .columns128)
        }
        for (name, _) in model.projections { #expect(try matrix(stored, name) == nil) }
        let inspected = try Tool.run("inspect", "packed", "--verify", "--json", in: scratch).json()
        let others = try #require(inspected["other_tensors"]?.arrayValue)
        for name in tables {
            let entry = try #require(others.first { $0["name"]?.stringValue == name })
            #expect(entry["stored_type"]?.stringValue == head.uppercased())
            #expect(entry["shape"] == [.integer(TinyTokenizer.vocabularySize), .integer(model.hiddenSize)])
        }
        #expect(try Tool.run("run", "packed", "hello", "--max-tokens", "3", in: scratch).status == 0)
    }

    @Test func takesTheSmallerFormat() throws {
        for (sparsity, format) in [(0.0, "dense"), (0.6, "tiled-bitmap")] {
            try TinyModel(type: .f16, sparsity: sparsity).write(to: scratch.path("model-\(sparsity)"))
            let outcome = try Tool.run(
                "pack", "model-\(sparsity)", "-o", "packed-\(sparsity)", "--values", "i8", "--json", in: scratch)
            #expect(try outcome.json()["formats"]?.objectValue?.keys == [format])
        }
        let text = try Tool.run("pack", "model-0.0", "-o", "again", "--values", "i8", in: scratch).output
        #expect(text.contains("i8 by 128") && !text.contains("sparse enough"))
        let inspected = try Tool.run("inspect", "packed-0.6", in: scratch).output
        #expect(inspected.contains("I8 by 128") && inspected.contains("bytes/weight"))
        let json = try Tool.run("inspect", "packed-0.6", "--json", in: scratch).json()
        for matrix in try #require(json["matrices"]?.arrayValue) {
            let weights = try #require(matrix["rows"]?.intValue) * #require(matrix["columns"]?.intValue)
            #expect(matrix["group"] == "128")
            #expect(
                matrix["bytes_per_weight"]?.doubleValue
                    == Double(try #require(matrix["packed_bytes"]?.intValue)) / Double(weights))
        }
    }

    @Test func refusesWhatThereIsNot() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        func fails(_ arguments: [String], _ sentence: String) throws {
            let outcome = try Tool.start(["pack", "model", "-o", "packed"] + arguments, in: scratch).wait()
            outcome.expectFailure(sentence, status: 64)
        }
        try fails(["--values", "i9"], "there is no type of values 'i9': did you mean 'i")
        try fails(["--values", "float"], "there is no type of values 'float'")
        try fails(["--head", "i16"], "there is no type of head 'i16'")
        try fails(["--group", "129"], "there is no group '129': did you mean '128'?")
        try fails(["--group", "0"], "there is no group '0'")
        try fails(["--values", "i8", "--format", "tiled-csl"], "--format tiled-csl stores f16 only")
        #expect(scratch.entries() == ["model"])
    }

    @Test func namesNaN() throws {
        var model = TinyModel(type: .f32)
        model.planted = ["model.embed_tokens.weight": (70, .nan)]
        try model.write(to: scratch.path("model"))
        try Tool.run("pack", "model", "-o", "packed", "--head", "i8", in: scratch).expectFailure(
            "model.embed_tokens.weight", "row 1, column 6")
        #expect(scratch.entries() == ["model"])
    }
}
