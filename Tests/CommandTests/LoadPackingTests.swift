import ModelFixtures
import OrderedJSON
import Testing

/// `--pack`: dense models that are packed while they are loaded.
@Suite struct LoadPackingTests {
    private let scratch = ScratchFolder()

    private func run(_ model: String, _ arguments: String...) throws -> JSON {
        try Tool.start(
            ["run", model, "hello", "--raw", "--temperature", "0", "--max-tokens", "6", "--json"] + arguments,
            in: scratch
        ).wait().json()
    }

    private func weights(_ json: JSON) -> Int? { json["memory"]?["weights_bytes"]?.intValue }

    @Test func packsPrunedModels() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        let dense = try run("model", "--pack", "none")
        let packed = try run("model")
        #expect(packed["tokens"] == dense["tokens"] && packed["text"] == dense["text"])
        #expect(try #require(weights(packed)) < #require(weights(dense)))
        #expect(try run("model", "--pack", "auto")["tokens"] == dense["tokens"])
        #expect(try weights(run("model", "--pack", "f16")) == weights(packed))
        let integers = try ["i16", "i8", "i4"].map { try #require(try weights(run("model", "--pack", $0))) }
        #expect(integers[2] < integers[1] && integers[1] < integers[0])
        // Nothing was written.
        #expect(scratch.entries() == ["model"])
    }

    @Test func leavesDenseModelsAlone() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        let outcome = try Tool.start(
            ["run", "model", "hello", "--raw", "--max-tokens", "3"], in: scratch,
            environment: ["FLASH_LLM_PROFILE": scratch.path("nothing.json")]
        ).wait()
        // A profile is asked for only where something is to be packed.
        #expect(outcome.status == 0, "\(outcome.errors)")
        #expect(try weights(run("model")) == weights(run("model", "--pack", "none")))
    }

    @Test func worksInEveryCommandThatOpensAModel() throws {
        try TinyModel(type: .bf16, sparsity: 0.7).write(to: scratch.path("model"))
        try scratch.write(String(repeating: "hello and the rest ", count: 20), to: "text")
        let dense = try Tool.run(
            "perplexity", "model", "text", "--window", "32", "--pack", "none", "--json", in: scratch)
        let packed = try Tool.run("perplexity", "model", "text", "--window", "32", "--json", in: scratch)
        let expected = try #require(try dense.json()["perplexity"]?.doubleValue)
        let found = try #require(try packed.json()["perplexity"]?.doubleValue)
        #expect(abs(found - expected) < 1e-3 * expected)
        let bench = ["bench", "model", "--rounds", "1", "--steps", "1", "--prompt", "0", "--threads", "1", "--json"]
        func bytes(_ arguments: [String]) throws -> Int? {
            try Tool.start(bench + arguments, in: scratch).wait().json()["results"]?.arrayValue?.first?[
                "weights_bytes"]?
                .intValue
        }
        // What is measured is what is stored, unless asked otherwise.
        let stored = try #require(try bytes([]))
        #expect(try bytes(["--pack", "none"]) == stored)
        #expect(try #require(try bytes(["--pack", "auto"])) < stored)
    }

    @Test func refusesWhatCannotBe() throws {
        try TinyModel(type: .f16, sparsity: 0.7).write(to: scratch.path("model"))
        #expect(try Tool.run("pack", "model", "-o", "packed", in: scratch).status == 0)
        try Tool.run("run", "packed", "hello", "--pack", "i8", in: scratch).expectFailure(
            "packed", "expected a model that is not packed")
        try Tool.run("run", "model", "hello", "--pack", "i9", in: scratch).expectFailure(
            "there is no way to pack 'i9': did you mean 'i", status: 64)
        try Tool.run("run", "model", "hello", "--pack", "f16", "--weights", "f32", in: scratch).expectFailure(
            "--pack f16", status: 64)
        try Tool.run("run", "model", "hello", "--profile", "nothing.json", in: scratch).expectFailure("nothing.json")
    }
}
