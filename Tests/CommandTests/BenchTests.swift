import ModelFixtures
import OrderedJSON
import Testing

@Suite struct BenchTests {
    private let scratch = ScratchFolder()

    /// The lines of a file of comma-separated values that has no quotes.
    private func cells(_ name: String) throws -> [[Substring]] {
        let text = try scratch.text(name)
        #expect(text.hasSuffix("\n"))
        return text.split(separator: "\n").map { $0.split(separator: ",", omittingEmptySubsequences: false) }
    }

    @Test func measuresProducts() throws {
        let json = try Tool.run(
            "bench", "spmm", "--shapes", "96x64", "--sparsity", "0.5,0.75", "--tokens", "1,5", "--threads", "1",
            "--formats",
            "tiled-bitmap-f16", "--rounds", "1", "--memory", "1", "--json", "--csv", "out.csv", "--plot", "out.svg",
            in: scratch
        ).json()
        let results = try #require(json["results"]?.arrayValue)
        // Dense f16 is always there.
        #expect(results.count == 2 * 2 * 2)
        for result in results {
            let speed = try #require(result["weights_per_second"]?["median"]?.doubleValue)
            let bound = try #require(result["share_of_bound"]?.doubleValue)
            #expect(speed > 0 && bound > 0)
            #expect((result["format"] == "dense-f16") == (result["ratio_to_dense_f16"] == .null))
        }
        let lines = try cells("out.csv")
        #expect(lines.count == 9 && lines.allSatisfy { $0.count == lines[0].count })
        #expect(lines[1...].map { $0[5] } == results.map { $0["format"]!.stringValue![...] })
        let picture = try scratch.text("out.svg")
        #expect(picture.hasPrefix("<svg ") && picture.contains("5 tokens") && picture.contains("tiled-bitmap-f16"))
        #expect(scratch.entries() == ["out.csv", "out.svg"])
    }

    /// Integers are compared with dense f16 and with dense i8, which are measured, too.
    @Test func measuresProductsOfIntegers() throws {
        let words = [
            "bench", "spmm", "--shapes", "96x256", "--sparsity", "0.5,0.9", "--tokens", "4", "--threads", "2",
            "--formats", "tiled-bitmap-i8,tiled-bitmap-i4-g32", "--rounds", "1", "--memory", "1",
        ]
        let json = try Tool.start(words + ["--json", "--csv", "out.csv"], in: scratch).wait().json()
        let results = try #require(json["results"]?.arrayValue)
        let formats = ["dense-f16", "dense-i8", "tiled-bitmap-i8", "tiled-bitmap-i4-g32"]
        #expect(results.map { $0["format"]?.stringValue } == formats + formats)
        for result in results {
            let format = try #require(result["format"]?.stringValue)
            let ratio = result["ratio_to_dense_i8"]?["median"]?.doubleValue
            #expect((ratio ?? 0 > 0) == format.hasPrefix("tiled"))
            #expect((result["ratio_to_dense_f16"] == .null) == (format == "dense-f16"))
        }
        let lines = try cells("out.csv")
        #expect(lines[0].last == "ratio_to_dense_i8" && lines.allSatisfy { $0.count == lines[0].count })
        #expect(lines[1].last == "" && lines[3].last != "")
        let table = try Tool.start(words, in: scratch).wait().output
        #expect(table.contains("96x256, 50 % zeros, 4 tokens, 2 threads\n"))
        let lengths = table.split(separator: "\n", omittingEmptySubsequences: true).map(\.count)
        #expect(lengths.dropLast(2).allSatisfy { $0 <= 100 }, "\(table)")
    }

    /// Up to the whole context, and each depth once.
    @Test func measuresLongContexts() throws {
        try TinyModel().write(to: scratch.path("model"))
        func run(_ depth: String) throws -> Tool.Outcome {
            try Tool.run(
                "bench", "model", "--rounds", "2", "--steps", "2", "--prompt", "0", "--depth", depth, "--threads", "1",
                "--batch", "1,2", "--json", "--csv", "speed.csv", "--plot", "speed.svg", in: scratch)
        }
        let results = try #require(try run("255,64").json()["results"]?.arrayValue)
        let depths: [Int?] = [64, 255, 64, 255]
        #expect(results.map { $0["depth"]?.intValue } == depths)
        #expect(
            results.map { $0["what"]?.stringValue } == [
                "decode x 1 at 64", "decode x 1 at 255", "decode x 2 at 64", "decode x 2 at 255",
            ])
        for result in results {
            let share = result["attention_share"]?["median"]?.doubleValue
            #expect((share == nil) == (result["depth"] == 64))
            #expect(share ?? 0 < 1)
        }
        let lines = try cells("speed.csv")
        #expect(lines.count == 5 && lines.allSatisfy { $0.count == lines[0].count })
        #expect(lines[1...].map { $0[11] } == ["64", "255", "64", "255"])
        #expect(try scratch.text("speed.svg").contains("tokens in the cache"))
        try run("256").expectFailure("--depth must fit the context of 256 tokens", status: 64)
        try run("64,64").expectFailure("--depth", status: 64)
        try run("0").expectFailure("--depth", status: 64)
    }

    /// With and without the name of the default subcommand.
    @Test(arguments: [["bench", "model"], ["bench", "whole-model", "model"]])
    func measuresModels(words: [String]) throws {
        try TinyModel().write(to: scratch.path("model"))
        let outcome = try Tool.start(
            words + [
                "--rounds", "1", "--steps", "1", "--prompt", "8", "--depth", "4", "--batch", "1,3", "--threads", "1,2",
                "--csv", "speed.csv", "--plot", "speed.svg",
            ], in: scratch
        ).wait()
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(outcome.output.contains("decode x 3") && outcome.output.contains("prompt 8"))
        let lines = try cells("speed.csv")
        #expect(lines.count == 7 && lines.allSatisfy { $0.count == lines[0].count })
        #expect(try scratch.text("speed.svg").contains("sequences decoded together"))
    }

    @Test func fullDecodesUpToSixteenSequences() throws {
        try TinyModel().write(to: scratch.path("model"))
        let json = try Tool.run(
            "bench", "model", "--full", "--rounds", "1", "--steps", "1", "--prompt", "0", "--threads", "1", "--json",
            in: scratch
        ).json()
        let kinds = json["results"]?.arrayValue?.compactMap { $0["what"]?.stringValue }
        #expect(kinds == [1, 2, 4, 8, 16].map { "decode x \($0)" })
    }

    @Test func refusesWrongUsage() throws {
        try TinyModel().write(to: scratch.path("model"))
        func usage(_ part: String, _ arguments: String...) throws {
            try Tool.start(["bench"] + arguments, in: scratch).wait().expectFailure(part, status: 64)
        }
        try usage("did you mean 'smollm2'?", "spmm", "--shapes", "smollm")
        try usage("there is no shape '4096'", "spmm", "--shapes", "4096")
        try usage("did you mean 'tiled-csl-f16'?", "spmm", "--formats", "tiled-csl-f61")
        try usage("did you mean 'tiled-bitmap-i8'?", "spmm", "--formats", "tiled-bitmap-i9")
        try usage("sparsity", "spmm", "--sparsity", "1")
        try usage("sparsity", "spmm", "--sparsity", "-0.5")
        try usage("tokens", "spmm", "--tokens", "0")
        try usage("--memory", "spmm", "--memory", "0")
        try usage("--full and --batch", "model", "--full", "--batch", "2")
        try usage("the same file", "spmm", "--csv", "x", "--plot", "x")
        #expect(scratch.entries() == ["model"])
    }

    @Test func saysBeforeMeasuringThatAFileCannotBeWritten() throws {
        try TinyModel().write(to: scratch.path("model"))
        try Tool.run("bench", "spmm", "--plot", "nowhere/x.svg", in: scratch)
            .expectFailure("cannot write nowhere/x.svg")
        try Tool.run("bench", "model", "--csv", "model", in: scratch)
            .expectFailure("cannot write model: it is a folder")
    }
}
