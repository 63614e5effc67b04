import ModelFixtures
import OrderedJSON
import Testing

@Suite struct ProfileTests {
    private let scratch = ScratchFolder()

    /// Runs with a cache in the scratch folder and without a given profile.
    private func run(_ arguments: String..., home: String = "home") throws -> Tool.Outcome {
        try Tool.start(
            arguments, in: scratch,
            environment: ["FLASH_LLM_HOME": scratch.path(home), "FLASH_LLM_PROFILE": ""]
        ).wait()
    }

    @Test func measuresOnceForEachNumberOfThreads() throws {
        let first = try run("profile", "--rounds", "1", "--threads", "1", "--json")
        let profile = try first.json()
        #expect(profile["threads"] == 1)
        #expect(try #require(profile["bytes_per_second"]?.doubleValue) > 0)
        #expect(profile["kernels"]?.arrayValue?.count == 10)
        let files = scratch.entries("home/profiles")
        #expect(files.count == 1 && files[0].hasSuffix(".json") && files[0].contains("-1-threads-"))
        // Measured again, not every number would be the same.
        #expect(try run("profile", "--threads", "1", "--json").output == first.output)
        let text = try run("profile", "--threads", "1").output
        #expect(text.contains("kept in") && text.contains("tiled-bitmap") && text.contains("sliced-ellpack"))
        #expect(text.split(separator: "\n").allSatisfy { $0.count <= 110 || $0.hasPrefix("profile") })
        #expect(try run("profile", "--rounds", "1", "--threads", "2", "--json").status == 0)
        #expect(scratch.entries("home/profiles").count == 2)
        #expect(scratch.entries("home") == ["profiles"])

        // What is damaged, stale or of another machine is measured again and replaced.
        let path = "home/profiles/" + files[0]
        for damage in [
            "", "{", first.output.replacing("\"kernel_version\":", with: "\"kernel_version\":9"),
            first.output.replacing("\"processor\":\"", with: "\"processor\":\"not "),
        ] {
            try scratch.write(damage, to: path)
            let again = try run("profile", "--rounds", "1", "--threads", "1", "--json")
            #expect(again.status == 0 && again.output != first.output)
            #expect(try scratch.text(path) == again.output)
        }
        let remeasured = try run("profile", "--rounds", "1", "--threads", "1", "--remeasure", "--json").output
        #expect(try scratch.text(path) == remeasured)
    }

    @Test func needsNoHome() throws {
        try scratch.write("", to: "file")
        let outcome = try run("profile", "--rounds", "1", "--threads", "1", home: "file/home")
        #expect(outcome.status == 0 && outcome.errors == "" && outcome.output.contains("measured now"))
        #expect(scratch.entries() == ["file"])
    }

    @Test func showsAFile() throws {
        try scratch.write(TestProfile().text, to: "server.json")
        let outcome = try Tool.run("profile", "--profile", "server.json", in: scratch)
        #expect(outcome.output.contains("3 threads of Abacus 9 (beads)") && outcome.output.contains("10.0 GB/s"))
        let json = try Tool.run("profile", "--profile", "server.json", "--json", in: scratch).json()
        #expect(json.text() == TestProfile().text)
    }

    @Test func refusesWhatIsNoProfile() throws {
        try Tool.run("profile", "--profile", "nothing.json", in: scratch).expectFailure("nothing.json")
        for (text, part) in [
            ("", "text"), ("[]", "format_version"),
            (TestProfile().text.replacing("\"f16\"", with: "\"f17\""), "values"),
            (TestProfile(processor: "a\nb").text, "processor"),
        ] {
            try scratch.write(text, to: "bad.json")
            try Tool.run("profile", "--profile", "bad.json", in: scratch).expectFailure(
                "bad.json is no profile of a machine", part)
        }
        try Tool.run("profile", "--threads", "0", in: scratch).expectFailure("--threads", status: 64)
        try Tool.run("profile", "--rounds", "0", in: scratch).expectFailure("--rounds", status: 64)
        try Tool.run("profile", "--profile", "x", "--remeasure", in: scratch).expectFailure("--remeasure", status: 64)
        #expect(scratch.entries() == ["bad.json"])
    }
}
