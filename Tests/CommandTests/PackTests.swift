import Checkpoints
import ModelFixtures
import OrderedJSON
import Sparse
import Testing

@Suite struct PackTests {
    private let scratch = ScratchFolder()

    /// The 16-bit patterns that a model's weights are packed from.
    private func patterns(_ model: TinyModel, _ name: String) -> [UInt16] {
        model.elements(name).map { value in
            model.type == .bf16 ? UInt16(value.bitPattern >> 16) : Float16(value).bitPattern
        }
    }

    @Test(arguments: WeightType.allCases, ["auto"] + PackedFormat.allCases.map(\.rawValue))
    func keepsEveryBit(type: WeightType, format: String) throws {
        var model = TinyModel(type: type, sparsity: 0.8)
        model.tiesHead = false
        model.shardCount = 2
        try model.write(to: scratch.path("model"))
        let json = try Tool.run("pack", "model", "-o", "packed", "--format", format, "--json", in: scratch).json()
        let expectedFormat = format == "auto" ? "tiled-bitmap" : format
        #expect(json["path"] == "packed")
        #expect(json["requested_format"]?.stringValue == format)
        #expect(json["formats"]?.objectValue?.keys == [expectedFormat])
        #expect(json["matrices"]?.arrayValue?.count == 14)

        let stored = try StoredModel(scratch.path("packed"))
        let packed = try #require(stored.packed)
        #expect(Set(packed.manifest.matrices.keys) == Set(model.projections.map(\.name)))
        for (name, _) in model.projections {
            #expect(try packed.matrix(name)?.format.rawValue == expectedFormat)
            #expect(try stored.patterns(name) == patterns(model, name), "\(name)")
        }
        for (name, _) in model.others {
            #expect(stored.checkpoint[name]?.encoding.elementType == type.elementType)
            #expect(try stored.bytes(name) == model.bytes(name), "\(name)")
        }
        for name in packed.names { try packed.check(name) }
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            #expect(try scratch.bytes("packed/\(name)") == scratch.bytes("model/\(name)"))
        }
        #expect(
            scratch.entries("packed") == [
                "config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
            ])
        #expect(scratch.entries() == ["model", "packed"])
    }

    @Test func addsUpItsFigures() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        let json = try Tool.run("pack", "model", "-o", "packed", "--json", in: scratch).json()
        let matrices = try #require(json["matrices"]?.arrayValue)
        for key in ["nonzeros", "dense_bytes", "packed_bytes"] {
            let sum = matrices.reduce(0) { $0 + ($1[key]?.intValue ?? 0) }
            #expect(json["totals"]?[key]?.intValue == sum)
        }
        let files = scratch.entries("packed")
        #expect(json["bytes"]?.intValue == (try files.reduce(0) { try $0 + scratch.bytes("packed/\($1)").count }))
        #expect(try #require(json["seconds"]?.doubleValue) > 0)
    }

    @Test func printsATable() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        let outcome = try Tool.run("pack", "model", "-o", "packed", in: scratch)
        #expect(outcome.status == 0 && outcome.errors == "")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.first?.hasPrefix("format") == true)
        #expect(lines.contains { $0.hasPrefix("tiled-bitmap") && $0.contains("14") && $0.contains("80.") })
        #expect(lines.last?.hasPrefix("wrote ") == true && lines.last?.hasSuffix(": packed") == true)
        #expect(!outcome.output.contains("ratio"))
    }

    @Test func saysThatNothingWasSparseEnough() throws {
        try TinyModel().write(to: scratch.path("model"))
        let outcome = try Tool.run("pack", "model", "-o", "packed", in: scratch)
        #expect(outcome.status == 0)
        #expect(outcome.output.contains("no matrix is sparse enough"))
        #expect(try Tool.run("inspect", "packed", "--verify", in: scratch).status == 0)
        // Whoever asks for dense need not be told.
        let dense = try Tool.run("pack", "model", "-o", "dense", "--format", "dense", in: scratch)
        #expect(!dense.output.contains("sparse enough"))
    }

    @Test func refusesAPackedModel() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        #expect(try Tool.run("pack", "model", "-o", "packed", in: scratch).status == 0)
        try Tool.run("pack", "packed", "-o", "again", in: scratch).expectFailure(
            "packed", "expected one that is not packed")
        try Tool.run("prune", "packed", "--sparsity", "0.5", "-o", "again", in: scratch).expectFailure("not packed")
        #expect(scratch.entries() == ["model", "packed"])
    }

    @Test func prunesPacksAndInspects() throws {
        try TinyModel(type: .bf16).write(to: scratch.path("model"))
        #expect(try Tool.run("prune", "model", "--sparsity", "0.75", "-o", "pruned", in: scratch).status == 0)
        #expect(try Tool.run("pack", "pruned", "-o", "packed", in: scratch).status == 0)
        let json = try Tool.run("inspect", "packed", "--verify", "--json", in: scratch).json()
        #expect(json["totals"]?["sparsity"]?.doubleValue == 0.75)
        let (pruned, packed) = (try StoredModel(scratch.path("pruned")), try StoredModel(scratch.path("packed")))
        for (name, _) in TinyModel().projections { #expect(try packed.patterns(name) == pruned.patterns(name)) }
    }
}
