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
        #expect(lines.count == 3)
        #expect(lines[0].hasPrefix("pruned 14 matrices by magnitude: "))
        #expect(lines[0].hasSuffix("(sparsity 50.0 %)"))
        #expect(lines[1].hasPrefix("perplexity on a short text: ") && lines[1].hasSuffix("more in pruned/report.html"))
        #expect(lines[2].hasPrefix("wrote ") && lines[2].hasSuffix(": pruned"))
    }

    /// Two files beside the model, for machines and for people; none if nobody wants them.
    @Test func writesAReport() throws {
        try TinyModel(type: .f16).write(to: scratch.path("a <model>"))
        let arguments = [
            "prune", "a <model>", "--sparsity", "0.5", "--method", "sparsegpt", "--samples", "4", "--length", "32",
            "-o",
        ]
        let json = try Tool.run(arguments + ["out", "--json"], in: scratch).json()
        let report = try JSON(parsing: scratch.text("out/report.json"))
        #expect(report["model"] == "a <model>" && report["settings"]?["method"] == "sparsegpt")
        let matrices = try #require(report["matrices"]?.arrayValue)
        #expect(matrices.count == 14 && matrices.allSatisfy { ($0["error"]?.doubleValue ?? 0) > 0 })
        let before = try #require(report["quality"]?["before"]?["perplexity"]?.doubleValue)
        #expect(before > 1 && json["perplexity_before"]?.doubleValue == before)
        let page = try scratch.text("out/report.html")
        #expect(page.contains("Pruning a &lt;model&gt;") && !page.contains("<model>"))
        #expect(page.contains("<svg") && page.contains("</html>"))
        // Nothing is fetched from elsewhere.
        #expect(!page.contains("src=") && !page.contains("href="))
        let outcome = try Tool.run(arguments + ["bare", "--no-report"], in: scratch)
        #expect(outcome.status == 0 && outcome.output.split(separator: "\n").count == 2)
        #expect(scratch.entries("bare").filter { $0.hasPrefix("report") }.isEmpty)
        #expect(try scratch.bytes("bare/model.safetensors") == scratch.bytes("out/model.safetensors"))
    }

    @Test func recoversWhatItPruned() throws {
        try TinyModel(type: .bf16).write(to: scratch.path("model"))
        let arguments = ["prune", "model", "--sparsity", "0.5", "--recover", "3", "--length", "16", "-o"]
        let outcome = try Tool.run(arguments + ["out"], in: scratch)
        #expect(outcome.status == 0 && outcome.errors == "")
        let lines = outcome.output.split(separator: "\n")
        #expect(lines.count == 4 && lines[1].hasPrefix("recovered in 3 steps of 1024 tokens"))
        #expect(try scratch.text("out/report.html").contains("recovered in 3 steps of 1024 tokens"))
        let json = try Tool.run(arguments + ["again", "--json"], in: scratch).json()
        #expect(json["sparsity"] == 0.5 && json["recovery"]?["steps"] == 3)
        #expect(try scratch.bytes("out/model.safetensors") == scratch.bytes("again/model.safetensors"))
        #expect(scratch.entries().allSatisfy { !$0.contains("unfinished") })
        try Tool.run("prune", "model", "--sparsity", "0.5", "--recover", "x", "-o", "y", in: scratch).expectFailure(
            "expected a number of steps", status: 64)
        try Tool.run("prune", "model", "--sparsity", "0.5", "--compensation", "1.5", "-o", "y", in: scratch)
            .expectFailure("--compensation must be in 0...1, found 1.5", status: 64)
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
        try usage("known are magnitude", arguments: "--sparsity", "0.5", "--method", "lottery", "-o", "x")
        try usage("--sparsity", arguments: "-o", "x")
        try usage("half", arguments: "--sparsity", "half", "-o", "x")
        try usage("output", arguments: "--sparsity", "0.5")
        try Tool.run("pack", "model", "-o", "x", "--format", "tiled-cls", in: scratch).expectFailure(
            "did you mean 'tiled-csl'?", status: 64)
        #expect(scratch.entries() == ["model"])
    }

    /// A pruned model is fitted to its texts, so that a recovery learns little from them.
    @Test func recoversOnOtherTexts() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        let home = ["FLASH_LLM_HOME": scratch.path("home")]
        let arguments = ["--length", "16", "--json", "-o"]
        let prune = ["prune", "model", "--sparsity", "0.5", "--method", "wanda", "--samples", "40", "--recover", "2"]
        func run(_ arguments: [String]) throws -> JSON {
            try Tool.start(arguments, in: scratch, environment: home).wait().json()
        }
        let both = try run(prune + arguments + ["both"])
        #expect(both["recovery"]?["tokens"] == 2048)
        let files = scratch.entries("home/calibration").sorted { $0.count < $1.count }
        try #require(files.count == 2 && files[1].hasSuffix("-recovery.json"))
        let texts = try files.map { name in
            try JSON(parsing: try scratch.text("home/calibration/\(name)"))["sequences"]?.arrayValue ?? []
        }
        #expect(texts[0].count >= 40 && texts[1].count >= 256)
        #expect(texts[0].allSatisfy { !texts[1].contains($0) })
        // By itself it takes the same texts.
        _ = try run(prune.dropLast(2) + arguments + ["alone"])
        _ = try run(["recover", "model", "alone", "--steps", "2"] + arguments + ["recovered"])
        #expect(scratch.entries("home/calibration").count == 2)
    }

    /// Texts of the model's own by default, the same for the same seed; tokens or texts if they are named.
    @Test func calibrates() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        try scratch.write(
            String(repeating: "The river is deeper here than it looks. ", count: 40), to: "text.txt")
        try scratch.write("{\"sequences\": [[5, 6, 7, 8], [9, 10, 11, 12]]}", to: "tokens.json")
        let sources: [[String]] = [
            ["--samples", "4", "--length", "32"], ["--samples", "4", "--length", "32", "--seed", "7"],
            ["--calibration", "text.txt", "--samples", "4", "--length", "32"], ["--calibration-tokens", "tokens.json"],
            // Half of the others' texts are the model's own; none of these are.
            ["--calibration", "text.txt", "--samples", "4", "--length", "32", "--own-texts", "0"],
        ]
        var written: [[UInt8]] = []
        for (number, source) in (sources + [sources[0]]).enumerated() {
            let json = try Tool.run(
                ["prune", "model", "--sparsity", "0.5", "--method", "sparsegpt", "-o", "out-\(number)", "--json"]
                    + source, in: scratch
            ).json()
            // Each matrix has its own share.
            #expect(json["method"] == "sparsegpt" && abs((json["sparsity"]?.doubleValue ?? 0) - 0.5) <= 1e-3)
            written.append(try scratch.bytes("out-\(number)/model.safetensors"))
        }
        let uniform = try Tool.run(
            ["prune", "model", "--sparsity", "0.5", "--method", "sparsegpt", "--allocation", "uniform"] + sources[0]
                + ["-o", "uniform", "--json"], in: scratch
        ).json()
        #expect(uniform["method"] == "sparsegpt" && uniform["sparsity"] == 0.5)
        #expect(written[5] == written[0])
        #expect(Set(written).count == 5)
        let all = ["--calibration", "text.txt", "--own-texts", "1"] + sources[0]
        _ = try Tool.run(
            ["prune", "model", "--sparsity", "0.5", "--method", "sparsegpt", "-o", "own"] + all, in: scratch)
        #expect(try scratch.bytes("own/model.safetensors") == written[0])
    }

    /// Packing values of few bits keeps them: what differs are activations, which products of integers round.
    @Test(arguments: ["i8", "i4"]) func prunesToValuesThatPackingKeeps(values: String) throws {
        try TinyModel(type: .bf16).write(to: scratch.path("model"))
        let json = try Tool.run(
            "prune", "model", "--sparsity", "0.5", "--method", "sparsegpt", "--values", values, "--group", "32",
            "--samples", "4", "--length", "32", "-o", "pruned", "--json", in: scratch
        ).json()
        #expect(json["sparsity"]!.doubleValue! >= 0.5)
        let pack = ["pack", "pruned", "-o", "packed", "--values", values, "--group", "32"]
        #expect(try Tool.run(pack, in: scratch).status == 0)
        // Long, and not the same again and again: roundings of single tokens cancel out.
        let text = (1...40).map { "The river is \($0 * $0) paces deeper here than it looks. " }.joined()
        try scratch.write(text, to: "text.txt")
        let perplexities = try ["pruned", "packed"].map { model in
            try Tool.run("perplexity", model, "text.txt", "--window", "64", "--json", in: scratch).json()["perplexity"]!
                .doubleValue!
        }
        #expect(abs(perplexities[0] - perplexities[1]) < 2e-3 * perplexities[0], "\(perplexities)")
        try Tool.run("prune", "model", "--sparsity", "0.5", "--values", "i5", "-o", "x", in: scratch).expectFailure(
            "there is no kind of values 'i5'", status: 64)
    }

    @Test func prunesByAPattern() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        let arguments = ["prune", "model", "--structure", "2:4", "-o", "out", "--json"]
        let json = try Tool.run(arguments, in: scratch).json()
        #expect(json["sparsity"] == 0.5)
        for (more, message) in [
            (["--sparsity", "0.6"], "is a sparsity of 0.5, found --sparsity 0.6"),
            (["--structure", "4:2"], "found '4:2'"),
        ] {
            try Tool.run(arguments + more, in: scratch).expectFailure(message, status: 64)
        }
        try Tool.run("prune", "model", "-o", "out", in: scratch).expectFailure("--sparsity is missing", status: 64)
    }

    @Test func refusesCalibrationThatCannotServe() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        try scratch.write("short", to: "text.txt")
        try scratch.write("{\"sequences\": [[5, 100000]]}", to: "tokens.json")
        let cases: [(arguments: [String], message: String, status: Int32)] = [
            (["--calibration", "text.txt", "--samples", "4"], "less than one sequence of 128", 1),
            (["--calibration", "missing.txt"], "missing.txt", 1),
            (["--calibration-tokens", "tokens.json"], "found 100000", 1),
            (["--calibration-tokens", "text.txt"], "text.txt", 1),
            (["--samples", "0"], "--samples must be in", 64), (["--length", "1"], "--length must be in", 64),
            (["--own-texts", "2"], "--own-texts must be in 0...1, found 2.0", 64),
            (["--calibration", "text.txt", "--calibration-tokens", "tokens.json"], "exclude each other", 64),
        ]
        for (arguments, message, status) in cases {
            try Tool.run(
                ["prune", "model", "--sparsity", "0.5", "--method", "wanda", "-o", "out"] + arguments, in: scratch
            ).expectFailure(message, status: status)
            #expect(!scratch.entries().contains("out"))
        }
    }

    /// A budget in place of a sparsity: by bytes, and by the speed that a profile foretells.
    @Test func prunesToABudget() throws {
        var model = TinyModel(type: .f16)
        (model.hiddenSize, model.headSize, model.intermediateSize) = (256, 64, 512)
        try model.write(to: scratch.path("model"))
        let bytes = try Tool.run("prune", "model", "--budget", "1.6 MB", "-o", "small", "--json", in: scratch).json()
        let sparsity = try #require(bytes["sparsity"]?.doubleValue)
        #expect(sparsity > 0.3 && sparsity < 0.8 && bytes["target_sparsity"]?.doubleValue != nil)
        let packed = try Tool.run("pack", "small", "-o", "packed", "--format", "smallest", "--json", in: scratch).json()
        let others = model.others.reduce(0) { $0 + 2 * $1.shape.reduce(1, *) }
        let size = try #require(packed["totals"]?["packed_bytes"]?.intValue) + others
        #expect(size > 1_570_000 && size < 1_630_000, "\(size) at \(sparsity)")
        try scratch.write(TestProfile(bytesPerSecond: 1e9).text, to: "server.json")
        let fast = try Tool.run(
            "prune", "model", "--budget", "650t/s", "--profile", "server.json", "-o", "fast", "--json", in: scratch
        ).json()
        #expect(abs(try #require(fast["sparsity"]?.doubleValue) - sparsity) < 0.1)
    }

    /// A bound on what is lost: the folder has the best attempt and nothing of the others.
    @Test func prunesToAPerplexity() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        let arguments = ["prune", "model", "--budget", "1.002x", "-o", "pruned", "--json"]
        let json = try Tool.run(arguments, in: scratch).json()
        let (before, after) = (json["perplexity_before"]?.doubleValue, json["perplexity_after"]?.doubleValue)
        #expect(try #require(after) <= 1.002 * (try #require(before)) && json["sparsity"]!.doubleValue! > 0)
        let names = [
            "config.json", "model.safetensors", "report.html", "report.json", "tokenizer.json", "tokenizer_config.json",
        ]
        #expect(scratch.entries("pruned").sorted() == names && scratch.entries(".").sorted() == ["model", "pruned"])
        try Tool.run(arguments, in: scratch).expectFailure("a new or empty folder")
        try Tool.run(arguments + ["--force", "--budget-text", "none.txt"], in: scratch).expectFailure("none.txt")
        #expect(scratch.entries("pruned").sorted() == names && scratch.entries(".").count == 2)
    }

    @Test(
        arguments: [
            (["--budget", "80"], "80MB"), (["--budget", "-1MB"], "80MB"), (["--budget", "fast"], "200t/s"),
            (["--budget", "80MB", "--sparsity", "0.5"], "leave out --sparsity"),
            (["--budget", "80MB", "--structure", "2:4"], "N:M"), (["--budget", "1.2y"], "1.2x"),
            (["--budget", "80MB", "--budget-text", "book.txt"], "--budget-text"),
            (["--sparsity", "0.5", "--head", "i8"], "--budget"), ([], "--sparsity is missing"),
        ])
    func refusesBudgetsThatSayNothing(options: [String], part: String) throws {
        try TinyModel().write(to: scratch.path("model"))
        try Tool.run(["prune", "model", "-o", "pruned"] + options, in: scratch).expectFailure(part, status: 64)
    }

    @Test func refusesBudgetsThatCannotBe() throws {
        try TinyModel().write(to: scratch.path("model"))
        try Tool.run("prune", "model", "-o", "pruned", "--budget", "1GB", in: scratch)
            .expectFailure("takes without pruning")
        try Tool.run("prune", "model", "-o", "pruned", "--budget", "1kB", in: scratch)
            .expectFailure("with 98 % zeros")
        try Tool.run("prune", "model", "-o", "pruned", "--budget", "0.5x", in: scratch)
            .expectFailure("which the dense model has")
        #expect(scratch.entries(".") == ["model"])
    }
}
