import ModelFixtures
import OrderedJSON
import TestSupport
import Testing

/// `pareto`: several ways to make a model smaller, compared.
@Suite struct ParetoTests {
    private let scratch = ScratchFolder()

    private static let arguments = [
        "pareto", "model", "-o", "out", "--variants", "dense,dense:i4,sparsegpt:0.5,magnitude:0.75:i8", "--text",
        "text.txt", "--group", "32", "--samples", "4", "--length", "32", "--rounds", "1",
    ]

    @Test func comparesInEveryWay() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        try scratch.write(String(repeating: "The river is deeper here than it looks. ", count: 30), to: "text.txt")
        let reports = ["--json", "--csv", "points.csv", "--plot", "picture.svg"]
        let json = try Tool.run(Self.arguments + reports, in: scratch).json()
        let points = try #require(json["points"]?.arrayValue)
        func numbers(_ key: String) -> [Double] { points.map { $0[key]!.doubleValue! } }
        #expect(
            points.map { $0["variant"]!.stringValue! } == ["dense", "dense:i4", "sparsegpt:0.5", "magnitude:0.75:i8"])
        let (bits, sparsities) = (numbers("bits_per_weight"), numbers("sparsity"))
        #expect(abs(bits[0] - 16) < 0.5 && bits[1] < 6 && bits[2] < 11 && bits[3] < 6)
        #expect(sparsities[0] < 0.01 && sparsities[2] >= 0.5 && sparsities[2] < 0.51 && sparsities[3] >= 0.75)
        for key in ["perplexity", "tokens_per_second", "speed", "bytes"] { #expect(numbers(key).allSatisfy { $0 > 0 }) }
        // The dense model is the best but for those that come near it.
        let perplexities = numbers("perplexity")
        #expect(perplexities[0] < 1.05 * perplexities.min()! && perplexities[3] > 1.02 * perplexities[0])
        let smallest = bits.indices.min { numbers("bytes")[$0] < numbers("bytes")[$1] }!
        #expect(points[smallest]["best_by_size"] == true)
        #expect(try scratch.text("points.csv").split(separator: "\n").count == 5)
        let picture = try scratch.text("picture.svg")
        #expect(picture.hasPrefix("<svg ") && picture.contains("times dense f16") && picture.contains("sparsegpt, f16"))

        // What is there is not made again, and says the same; what was made otherwise is.
        let before = try scratch.bytes("out/sparsegpt-0.5/model.safetensors")
        try scratch.write("kept", to: "out/sparsegpt-0.5/mark")
        let again = try Tool.run(Self.arguments + ["--json"], in: scratch).json()
        #expect(again["points"]?.arrayValue?.map { $0["perplexity"]!.doubleValue! } == perplexities)
        #expect(try scratch.text("out/sparsegpt-0.5/mark") == "kept")
        _ = try Tool.run(Self.arguments + ["--seed", "4"], in: scratch)
        #expect(try scratch.bytes("out/sparsegpt-0.5/model.safetensors") != before)
    }

    @Test func refusesWhatIsNoVariant() throws {
        for (variants, message) in [
            ("sparsegpt", "a variant is METHOD:SPARSITY"), ("alp:0.5", "did you mean 'alps'?"),
            ("alps:1", "must be more than 0 and less than 1"), ("dense:0.5", "there is no kind of values '0.5'"),
            ("alps:0.5:i8:3", "found 'alps:0.5:i8:3'"), ("", "names nothing to compare"),
        ] {
            try Tool.run("pareto", "model", "-o", "out", "--variants", variants, in: scratch).expectFailure(
                message, status: 64)
        }
    }
}
