import Checkpoints
import ModelFixtures
import OrderedJSON
import Testing

@Suite struct PruneTests {
    private let scratch = ScratchFolder()

    @Test(arguments: [WeightType.f16, .bf16], [0, 0.25, 0.5, 0.9])
    func zeroesTheSmallestWeightsOfEveryRow(type: WeightType, sparsity: Double) throws {
        let model = TinyModel(type: type)
        try model.write(to: scratch.path("model"))
        let json = try Tool.run("prune", "model", "--sparsity", "\(sparsity)", "-o", "pruned", "--json", in: scratch)
            .json()
        let stored = try StoredModel(scratch.path("pruned"))
        var zeros = 0
        for (name, shape) in model.projections {
            let (before, after) = (try StoredModel(scratch.path("model")).patterns(name), try stored.patterns(name))
            let expected = Int((sparsity * Double(shape[1])).rounded())
            for row in 0..<shape[0] {
                let range = row * shape[1]..<(row + 1) * shape[1]
                let cut = range.filter { after[$0] & 0x7FFF == 0 }
                let kept = range.filter { after[$0] & 0x7FFF != 0 }
                #expect(cut.count == expected)
                #expect(kept.allSatisfy { after[$0] == before[$0] })
                // Patterns of one sign are in the order of their magnitudes, in both types.
                let largestCut = cut.map { before[$0] & 0x7FFF }.max() ?? 0
                let smallestKept = kept.map { before[$0] & 0x7FFF }.min() ?? .max
                #expect(largestCut <= smallestKept)
                zeros += cut.count
            }
        }
        for (name, _) in model.others { #expect(try stored.bytes(name) == model.bytes(name), "\(name)") }
        let elements = model.projections.reduce(0) { $0 + $1.shape.reduce(1, *) }
        #expect(json["method"] == "magnitude")
        #expect(json["target_sparsity"]?.doubleValue == sparsity)
        #expect(json["zeros"]?.intValue == zeros)
        #expect(json["elements"]?.intValue == elements)
        #expect(json["sparsity"]?.doubleValue == Double(zeros) / Double(elements))
        #expect(json["matrices"] == 14)
        #expect(try scratch.bytes("pruned/tokenizer.json") == scratch.bytes("model/tokenizer.json"))
        let configuration = try JSON(parsing: scratch.text("pruned/config.json"))
        #expect(configuration == model.configuration)
    }

    @Test func saysWhatItDid() throws {
        try TinyModel().write(to: scratch.path("model"))
        let outcome = try Tool.run("prune", "model", "--sparsity", "0.5", "--output", "pruned", in: scratch)
        #expect(outcome.status == 0 && outcome.errors == "")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].hasPrefix("pruned 14 matrices by magnitude: "))
        #expect(lines[0].hasSuffix("(sparsity 50.0 %)"))
        #expect(lines[1].hasPrefix("wrote ") && lines[1].hasSuffix(": pruned"))
    }

    @Test func countsZerosThatAreThere() throws {
        try TinyModel(type: .f16, sparsity: 0.6).write(to: scratch.path("model"))
        #expect(try Tool.run("prune", "model", "--sparsity", "0.5", "-o", "pruned", in: scratch).status == 0)
        let before = try Tool.run("inspect", "model", "--json", in: scratch).json()
        let after = try Tool.run("inspect", "pruned", "--json", in: scratch).json()
        let (sparsityBefore, sparsityAfter) = (
            try #require(before["totals"]?["sparsity"]?.doubleValue),
            try #require(after["totals"]?["sparsity"]?.doubleValue)
        )
        #expect(sparsityAfter >= sparsityBefore && sparsityAfter < 0.63)
    }

    @Test(arguments: ["1.0", "1", "-0.1", "nan", "inf", "50", "-1e-9"]) func refusesASparsity(_ value: String) throws {
        try TinyModel().write(to: scratch.path("model"))
        try Tool.run("prune", "model", "--sparsity", value, "-o", "pruned", in: scratch).expectFailure(
            "--sparsity must be at least 0 and less than 1, found", status: 64)
        #expect(scratch.entries() == ["model"])
    }

    @Test func refusesWrongUsage() throws {
        try TinyModel().write(to: scratch.path("model"))
        func usage(_ parts: String..., arguments: String...) throws {
            let outcome = try Tool.start(["prune", "model"] + arguments, in: scratch).wait()
            for part in parts { outcome.expectFailure(part, status: 64) }
        }
        try usage("did you mean 'magnitude'?", arguments: "--sparsity", "0.5", "--method", "magnitud", "-o", "x")
        try usage("known are magnitude", arguments: "--sparsity", "0.5", "--method", "wanda", "-o", "x")
        try usage("--sparsity", arguments: "-o", "x")
        try usage("half", arguments: "--sparsity", "half", "-o", "x")
        try usage("output", arguments: "--sparsity", "0.5")
        try Tool.run("pack", "model", "-o", "x", "--format", "tiled-cls", in: scratch).expectFailure(
            "did you mean 'tiled-csl'?", status: 64)
        #expect(scratch.entries() == ["model"])
    }
}
