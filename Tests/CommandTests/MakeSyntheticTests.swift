import ModelFixtures
import OrderedJSON
import Testing

@Suite struct MakeSyntheticTests {
    private let scratch = ScratchFolder()

    @Test func writesAModelThatOtherCommandsRead() throws {
        let made = try Tool.run(
            "make-synthetic", "--parameters", "tiny", "--sparsity", "0.6", "--type", "bf16", "--seed", "3", "-o",
            "model",
            "--json", in: scratch
        ).json()
        #expect(made["shape"] == "tiny" && made["type"] == "bf16" && made["seed"] == "3" && made["sparsity"] == 0.6)
        let inspected = try Tool.run("inspect", "model", "--json", in: scratch).json()
        let sparsity = try #require(inspected["totals"]?["sparsity"]?.doubleValue)
        #expect(abs(sparsity - 0.6) < 0.01)
        #expect(try Tool.run("pack", "model", "-o", "packed", in: scratch).status == 0)
        for model in ["model", "packed"] {
            let answer = try Tool.run(
                "run", model, "Hello", "--max-tokens", "8", "--ignore-eos", "--json", in: scratch
            ).json()
            #expect(answer["text"]?.stringValue?.isEmpty == false)
        }
        let again = try Tool.run(
            "make-synthetic", "--parameters", "tiny", "--sparsity", "0.6", "--type", "bf16", "--seed", "3", "-o",
            "again",
            in: scratch)
        #expect(again.status == 0 && again.errors == "")
        #expect(again.output.hasPrefix("wrote ") && again.output.hasSuffix(": again\n"))
        let name = "model.safetensors"
        #expect(try scratch.bytes("model/\(name)") == scratch.bytes("again/\(name)"))
    }

    @Test func replacesAModelOnlyIfAskedTo() throws {
        func make(_ arguments: String...) throws -> Tool.Outcome {
            let start = ["make-synthetic", "--parameters", "tiny", "-o", "model"]
            return try Tool.start(start + arguments, in: scratch).wait()
        }
        #expect(try make().status == 0)
        let before = try scratch.bytes("model/model.safetensors")
        try make("--seed", "2").expectFailure("the output folder: expected a new or empty folder")
        #expect(try scratch.bytes("model/model.safetensors") == before)
        #expect(try make("--seed", "2", "--force").status == 0)
        #expect(try scratch.bytes("model/model.safetensors") != before)
        #expect(scratch.entries() == ["model"])
    }

    @Test func refusesWrongUsage() throws {
        func usage(_ part: String, _ arguments: String...) throws {
            let outcome = try Tool.start(["make-synthetic", "-o", "x"] + arguments, in: scratch).wait()
            outcome.expectFailure(part, status: 64)
        }
        try usage("known are tiny, 135m, 360m, 1.1b", "--parameters", "500t")
        try usage("did you mean '1.1b'?", "--parameters", "1.2b")
        try usage("--sparsity must be", "--parameters", "tiny", "--sparsity", "-0.1")
        try usage("--sparsity must be", "--parameters", "tiny", "--sparsity", "1")
        try usage("known are f16, bf16", "--parameters", "tiny", "--type", "q4_0")
        try usage("--parameters")
        #expect(scratch.entries().isEmpty)
    }
}
