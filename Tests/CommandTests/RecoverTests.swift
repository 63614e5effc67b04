import Checkpoints
import ModelFixtures
import OrderedJSON
import Testing

@Suite struct RecoverTests {
    private let scratch = ScratchFolder()

    private func writeModels() throws {
        try TinyModel(type: .bf16).write(to: scratch.path("dense"))
        try TinyModel(type: .bf16, sparsity: 0.5).write(to: scratch.path("pruned"))
    }

    @Test func saysWhatItDid() throws {
        try writeModels()
        let arguments = ["recover", "dense", "pruned", "--steps", "3", "--length", "16"]
        let outcome = try Tool.run(arguments + ["-o", "out"], in: scratch)
        #expect(outcome.status == 0 && outcome.errors == "")
        let lines = outcome.output.split(separator: "\n")
        #expect(
            lines.count == 2
                && lines[0].hasPrefix("recovered in 3 steps of 1024 tokens: divergence from the dense model "))
        let json = try Tool.run(arguments + ["-o", "again", "--json"], in: scratch).json()
        let recovery = try #require(json["recovery"])
        #expect(recovery["steps"] == 3 && recovery["tokens"] == 3072 && recovery["losses"]?.arrayValue?.count == 3)
        #expect(try scratch.bytes("out/model.safetensors") == scratch.bytes("again/model.safetensors"))
        let before = try Tool.run("inspect", "pruned", "--json", in: scratch).json()
        let after = try Tool.run("inspect", "out", "--json", in: scratch).json()
        #expect(before["zeros"] == after["zeros"])
    }

    @Test func refusesWhatCannotBeRecovered() throws {
        try writeModels()
        let cases: [(arguments: [String], message: String, status: Int32)] = [
            (["dense", "missing", "-o", "x"], "missing", 1),
            (["dense", "pruned", "--steps", "0", "-o", "x"], "expected a number of steps", 64),
            (["dense", "pruned", "--rate", "0", "-o", "x"], "--rate must be above 0", 64),
            (["dense", "pruned", "--rate", "nan", "-o", "x"], "--rate must be above 0", 64),
            (["dense", "pruned", "--steps", "5h", "-o", "x"], "expected a number of steps", 64),
            (["dense", "pruned", "--samples", "2", "--length", "8", "-o", "x"], "at least 3 sequences", 1),
            (["dense", "-o", "x"], "pruned", 64),
        ]
        for (arguments, message, status) in cases {
            try Tool.run(["recover"] + arguments, in: scratch).expectFailure(message, status: status)
            #expect(!scratch.entries().contains("x"))
        }
        try Tool.run("recover", "dense", "pruned", "--steps", "1", "-o", "dense", in: scratch).expectFailure("dense")
    }
}
