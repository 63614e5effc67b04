import Checkpoints
import ModelFixtures
import OrderedJSON
import TestSupport
import Testing

/// `inspect --verify` finds every damage, `inspect` reads no weights.
@Suite struct VerifyTests {
    private let scratch = ScratchFolder()

    private func pack(_ format: String) throws {
        try TinyModel(type: .f16, sparsity: 0.6).write(to: scratch.path("model"))
        #expect(try Tool.run("pack", "model", "-o", "packed", "--format", format, in: scratch).status == 0)
    }

    @Test(arguments: ["tiled-bitmap", "tiled-csl", "sliced-ellpack", "dense"])
    func passesWhatWasWritten(format: String) throws {
        try pack(format)
        let text = try Tool.run("inspect", "packed", "--verify", in: scratch)
        #expect(text.status == 0)
        #expect(text.output.contains("Verified: all 20 matrices and tensors"))
        let json = try Tool.run("inspect", "packed", "--verify", "--json", in: scratch).json()
        #expect(json["verified_tensors"] == 20)
    }

    /// Flips bits at random places of the weights' file, whatever lies there: the tensor is named, or nothing that
    /// anyone reads has changed (the gaps between tensors).
    @Test(arguments: ["tiled-bitmap", "tiled-csl", "sliced-ellpack", "dense"])
    func findsFlippedBitsAnywhere(format: String) throws {
        try pack(format)
        let whole = try scratch.bytes("packed/model.safetensors")
        let file = try SafetensorsFile(path: scratch.path("packed/model.safetensors"))
        let original = try StoredModel(scratch.path("packed"))
        let contents = try original.checkpoint.tensors.map { (name: $0.name, bytes: try original.bytes($0.name)) }
        let dataStart = try #require(file.tensors.values.first?.byteRange.lowerBound)
        var generator = SplitMix64(seed: 7)
        for round in 0..<40 {
            // Half of the rounds hit the header, which is small.
            let range = round % 2 == 0 ? dataStart..<whole.count : 0..<dataStart
            let place = Int.random(in: range, using: &generator)
            var damaged = whole
            damaged[place] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            try scratch.write(damaged, to: "packed/model.safetensors")
            let outcome = try Tool.run("inspect", "packed", "--verify", in: scratch)
            if outcome.status == 0 {
                let now = try StoredModel(scratch.path("packed"))
                for (name, bytes) in contents { #expect(try now.bytes(name) == bytes, "\(name), byte \(place)") }
                continue
            }
            outcome.expectFailure(round % 2 == 0 ? "packed: tensor \"" : "packed")
        }
        // Inside every tensor: refused by its name.
        for tensor in file.tensors.values where !tensor.name.hasPrefix(SafetensorsFile.paddingPrefix) {
            var damaged = whole
            damaged[Int.random(in: tensor.byteRange, using: &generator)] ^= 0x10
            try scratch.write(damaged, to: "packed/model.safetensors")
            try Tool.run("inspect", "packed", "--verify", in: scratch).expectFailure(tensor.name)
        }
    }

    @Test func readsNoWeightsUnlessAsked() throws {
        try pack("dense")
        let file = try SafetensorsFile(path: scratch.path("packed/model.safetensors"))
        var damaged = try scratch.bytes("packed/model.safetensors")
        for tensor in file.tensors.values { for place in tensor.byteRange { damaged[place] = 0xFF } }
        try scratch.write(damaged, to: "packed/model.safetensors")
        #expect(try Tool.run("inspect", "packed", in: scratch).status == 0)
        try Tool.run("inspect", "packed", "--verify", in: scratch).expectFailure("checksum")
    }

    @Test func findsAWrongDescription() throws {
        try pack("tiled-csl")
        let text = try scratch.text("packed/config.json")
        var manifest = try JSON(parsing: text)
        let nonzeros = try #require(
            manifest["flash_llm"]?["matrices"]?.objectValue?.values.first?["nonzeros"]?.intValue)
        let wrong = text.replacing(
            "\"nonzeros\": \(nonzeros)", with: "\"nonzeros\": \(nonzeros - 1)", maxReplacements: 1)
        manifest = try JSON(parsing: wrong)
        try scratch.write(wrong, to: "packed/config.json")
        try Tool.run("inspect", "packed", "--verify", in: scratch).expectFailure(
            "model.layers.0.self_attn.q_proj.weight", "expected \(nonzeros - 1) nonzeros", "found \(nonzeros)")
    }

    @Test func refusesWhatHasNoChecksums() throws {
        try TinyModel().write(to: scratch.path("model"))
        try Tool.run("inspect", "model", "--verify", in: scratch).expectFailure("not packed")
    }
}
