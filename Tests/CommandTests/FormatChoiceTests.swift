import Checkpoints
import ModelFixtures
import OrderedJSON
import Sparse
import Testing

/// What `pack` and `inspect` choose, and what they say about it, on made-up machines.
@Suite struct FormatChoiceTests {
    private let scratch = ScratchFolder()

    /// One token: dense waits for memory at 5 weights a nanosecond, the bitmap for arithmetic at 2, ELLPACK at 8.
    /// Sixteen tokens: the bitmap is by far the fastest.
    private static let slowBitmaps = TestProfile(speed: { format, _, _, tokens in
        switch (format, tokens) {
        case ("dense", 1): 1e12
        case ("sliced-ellpack", 1): 8e9
        case ("tiled-bitmap", 1): 2e9
        case ("tiled-bitmap", _): 1e9
        default: 1e7
        }
    })

    private func pack(_ arguments: String...) throws -> JSON {
        try Tool.start(
            ["pack", "model", "-o", "packed", "--force", "--json"] + arguments, in: scratch
        ).wait().json()
    }

    private func formats(_ json: JSON) -> Set<String> { Set(json["formats"]?.objectValue?.keys.elements ?? []) }

    @Test func dependsOnTheMachine() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        try scratch.write(Self.slowBitmaps.text, to: "slow.json")
        #expect(try formats(pack()) == ["tiled-bitmap"])
        #expect(try formats(pack("--profile", "slow.json")) == ["sliced-ellpack"])
        #expect(try formats(pack("--profile", "slow.json", "--tokens", "16")) == ["tiled-bitmap"])
        #expect(try formats(pack("--profile", "slow.json", "--tokens", "1,16")) == ["tiled-bitmap"])
        // Integers have no ELLPACK: dense is faster, though larger.
        #expect(try formats(pack("--profile", "slow.json", "--values", "i8")) == ["dense"])
        #expect(try formats(pack("--values", "i8")) == ["tiled-bitmap"])
        // The environment names a profile, too, and the option wins.
        let environment = ["FLASH_LLM_PROFILE": scratch.path("slow.json")]
        let arguments = ["pack", "model", "-o", "again", "--json"]
        let packed = try Tool.start(arguments, in: scratch, environment: environment).wait().json()
        #expect(formats(packed) == ["sliced-ellpack"])
    }

    /// The fewest bytes need no profile, and no profile changes them.
    @Test func smallestIsTheSameEverywhere() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        try scratch.write("no profile", to: "bad.json")
        var folders: [[UInt8]] = []
        for profile in ["bad.json", "nothing.json"] {
            let outcome = try Tool.start(
                ["pack", "model", "-o", "packed", "--format", "smallest", "--force"], in: scratch,
                environment: ["FLASH_LLM_PROFILE": scratch.path(profile)]
            ).wait()
            #expect(outcome.status == 0 && !outcome.output.contains("prediction"))
            folders.append(try scratch.bytes("packed/config.json") + scratch.bytes("packed/model.safetensors"))
        }
        #expect(folders[0] == folders[1])
        let section = try StoredModel(scratch.path("packed")).checkpoint.configuration["flash_llm"]
        #expect(section?["profile"] == nil && section?["matrices"]?.objectValue?.values.first?["choice"] == nil)
        let inspected = try Tool.run("inspect", "packed", in: scratch).output
        #expect(!inspected.contains("speed-up") && inspected.contains("tiled-bitmap"))
    }

    @Test func writesDownWhatItWasChosenBy() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        let json = try pack("--tokens", "1,4")
        let profile: JSON = ["processor": "Abacus 9", "instruction_set": "beads", "threads": 3, "tokens": [1, 4]]
        #expect(json["profile"] == profile)
        let stored = try #require(try StoredModel(scratch.path("packed")).packed)
        #expect(stored.manifest.choice?.machine.processor == "Abacus 9")
        #expect(stored.manifest.choice?.tokenCounts == [1, 4])
        for (name, matrix) in stored.manifest.matrices {
            let reason = try #require(matrix.reason)
            let bytes = try #require(try stored.matrix(name)?.storedByteCount)
            #expect(reason.bound == .memory)
            #expect(abs(reason.speedUp - Double(2 * matrix.rows * matrix.columns) / Double(bytes)) < 0.006)
        }
        let inspected = try Tool.run("inspect", "packed", "--json", in: scratch).json()
        #expect(inspected["profile"] == profile)
        #expect(inspected["matrices"]?.arrayValue?.allSatisfy { $0["choice"]?["bound"] == "memory" } == true)
        let text = try Tool.run("inspect", "packed", in: scratch).output
        #expect(text.contains("memory-bound: ") && text.contains("3 threads of Abacus 9 (beads)"))
        #expect(text.contains("chosen for 1, 4 tokens"))
        #expect(try Tool.run("inspect", "packed", "--verify", in: scratch).status == 0)
    }

    @Test func inspectShowsAllCandidates() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        try scratch.write(Self.slowBitmaps.text, to: "slow.json")
        let json = try Tool.run("inspect", "model", "--profile", "slow.json", "--json", in: scratch).json()
        for matrix in try #require(json["matrices"]?.arrayValue) {
            let candidates = try #require(matrix["candidates"]?.arrayValue)
            #expect(candidates.count == 4 && candidates[0]["format"] == matrix["format"])
            #expect(matrix["format"] == "sliced-ellpack" && matrix["choice"]?["bound"] == "arithmetic")
            let elements = try #require(matrix["rows"]?.intValue) * #require(matrix["columns"]?.intValue)
            let dense = try #require(candidates.first { $0["format"] == "dense" })
            #expect(dense["bytes"]?.intValue == 2 * elements)
            let prediction = try #require(dense["predictions"]?.arrayValue?.first)
            #expect(prediction["tokens"] == 1 && prediction["bound"] == "memory")
            #expect(abs(try #require(prediction["seconds"]?.doubleValue) - Double(elements) / 5e9) < 1e-12)
        }
        let text = try Tool.run("inspect", "model", "--profile", "slow.json", in: scratch).output
        let rows = text.split(separator: "\n").filter { $0.contains("arithmetic-bound: 0.") }
        #expect(rows.count == 7 && rows.allSatisfy { $0.contains("1.60x") && $0.contains("sliced-ellpack") })
        #expect(text.split(separator: "\n").filter { !$0.hasPrefix("Dense") }.allSatisfy { $0.count <= 110 })
        let all = try Tool.run("inspect", "model", "--profile", "slow.json", "--all", in: scratch).output
        #expect(all.split(separator: "\n").filter { $0.contains("arithmetic-bound: 0.") }.count == 14)
        let dense = try Tool.run("inspect", "model", "--profile", "slow.json", in: scratch)
        #expect(dense.errors == "")
    }

    /// Reasons are for people: nonsense in them harms nothing.
    @Test func ignoresNonsenseInAPackedFolder() throws {
        try TinyModel(type: .f16, sparsity: 0.8).write(to: scratch.path("model"))
        _ = try pack()
        let whole = try scratch.text("packed/config.json")
        let long = String(repeating: "x", count: 100_000)
        let processor = "\"processor\": \"Abacus 9\""
        #expect(whole.contains(processor) && whole.contains("\"bound\": \"memory\""))
        for (old, new) in [
            (processor, "\"processor\": \"\(long)\""), (processor, "\"processor\": \"\\u001b[2J\""),
            (processor, "\"processor\": {}"), ("\"threads\": 3", "\"threads\": -3"),
            ("\"bound\": \"memory\"", "\"bound\": \"\(long)\""), ("\"bound\": \"memory\"", "\"bound\": 7"),
            ("\"speed_up\": ", "\"speed_up\": -"),
        ] {
            try scratch.write(whole.replacing(old, with: new), to: "packed/config.json")
            for arguments in [["inspect", "packed"], ["inspect", "packed", "--verify", "--json"]] {
                let outcome = try Tool.start(arguments, in: scratch).wait()
                #expect(outcome.status == 0, "\(outcome.errors)")
                #expect(!outcome.output.contains("xxxx") && !outcome.output.contains("\u{1B}"))
            }
        }
    }

    @Test func refusesWrongUsage() throws {
        try TinyModel(type: .f16).write(to: scratch.path("model"))
        func fails(_ arguments: [String], _ part: String, status: Int32 = 64) throws {
            try Tool.start(["pack", "model", "-o", "packed"] + arguments, in: scratch).wait().expectFailure(
                part, status: status)
        }
        try fails(["--format", "smalest"], "did you mean 'smallest'?")
        try fails(["--format", "dense", "--profile", "x"], "for --format auto, and --format is dense")
        try fails(["--format", "smallest", "--tokens", "1"], "for --format auto, and --format is smallest")
        try fails(["--tokens", "0"], "tokens")
        try fails(["--tokens", Array(repeating: "1", count: 17).joined(separator: ",")], "1 to 16 numbers")
        try fails(["--profile", "nothing.json"], "nothing.json", status: 1)
        #expect(scratch.entries() == ["model"])
    }
}
