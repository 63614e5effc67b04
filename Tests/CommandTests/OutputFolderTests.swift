import Foundation
import ModelFixtures
import Testing

/// Where prune and pack write, what they refuse to write over, and that a failure leaves everything as it was.
@Suite struct OutputFolderTests {
    private let scratch = ScratchFolder()

    private static let commands = [["prune", "--sparsity", "0.5", "--no-report"], ["pack"], ["export"]]

    private func run(
        _ command: [String], _ model: String = "model", to output: String, _ options: String...
    ) throws -> Tool.Outcome {
        try Tool.start([command[0], model] + command.dropFirst() + ["-o", output] + options, in: scratch).wait()
    }

    private func writeModel() throws { try TinyModel().write(to: scratch.path("model")) }

    @Test(arguments: commands) func refusesPlacesThatCannotBeWritten(command: [String]) throws {
        try writeModel()
        try run(command, to: "missing/out").expectFailure("missing/out: No such file or directory")
        try run(command, to: "/dev/null/out").expectFailure("/dev/null/out: Not a directory")
        try run(command, to: "/proc/out").expectFailure("/proc/out")
        try run(command, to: "").expectFailure("the output folder: expected the name of a new folder")
        try run(command, to: "..").expectFailure("the output folder")
        #expect(scratch.entries() == ["model"])
    }

    @Test(.enabled(if: geteuid() != 0, "root may write anywhere"), arguments: commands)
    func refusesAFolderWithoutPermission(command: [String]) throws {
        try writeModel()
        try scratch.makeFolder("locked")
        try FileManager.default.setAttributes([.posixPermissions: 0o555], ofItemAtPath: scratch.path("locked"))
        try run(command, to: "locked/out").expectFailure("locked/out: Permission denied")
    }

    /// The shell's limit on the size of files stands for a disk that is full: writing fails in the middle.
    @Test(arguments: commands, [8, 32]) func leavesNothingWhenWritingFails(command: [String], limit: Int) throws {
        try writeModel()
        let arguments = ([command[0], "model"] + command.dropFirst()).joined(separator: " ")
        let outcome = try Tool.shell(
            "trap '' XFSZ; ulimit -f \(limit); exec \"$0\" \(arguments) -o out", in: scratch)
        outcome.expectFailure("cannot write", "File too large")
        #expect(scratch.entries() == ["model"])
    }

    @Test(arguments: commands) func writesOverAModelOnlyIfForced(command: [String]) throws {
        try writeModel()
        try scratch.makeFolder("out")
        #expect(try run(command, to: "out").status == 0)  // an empty folder is as good as none
        let first = try scratch.bytes("out/config.json")
        try scratch.write("old", to: "out/extra.txt")
        try run(command, to: "out").expectFailure("out: the output folder: expected a new or empty folder")
        #expect(try scratch.text("out/extra.txt") == "old")
        #expect(try run(command, to: "out/", "--force").status == 0)
        #expect(!scratch.entries("out").contains("extra.txt"))
        #expect(try scratch.bytes("out/config.json") == first)
        #expect(scratch.entries() == ["model", "out"])
    }

    @Test(arguments: commands) func neverReplacesWhatIsNoModel(command: [String]) throws {
        try writeModel()
        try scratch.makeFolder("precious")
        try scratch.write("thesis", to: "precious/thesis.tex")
        try scratch.write("file", to: "file")
        for options in [[], ["--force"]] {
            let arguments = [command[0], "model"] + command.dropFirst() + options
            try Tool.start(arguments + ["-o", "precious"], in: scratch).wait().expectFailure(
                "precious: the output folder")
            try Tool.start(arguments + ["-o", "file"], in: scratch).wait().expectFailure("file: the output folder")
        }
        #expect(try scratch.text("precious/thesis.tex") == "thesis")
        #expect(scratch.entries() == ["file", "model", "precious"])
    }

    @Test(arguments: commands) func keepsTheModelItReads(command: [String]) throws {
        try writeModel()
        try FileManager.default.createSymbolicLink(atPath: scratch.path("link"), withDestinationPath: "model")
        let before = try scratch.bytes("model/model.safetensors")
        for output in ["model", "model/", "./model", "link", "../\(scratch.path.split(separator: "/").last!)/model"] {
            try run(command, to: output, "--force").expectFailure("apart from the model that is read, found the same")
        }
        for output in ["model/out", "link/out", "model/./out"] {
            try run(command, to: output).expectFailure("apart from the model that is read, found one inside the other")
        }
        // Replacing a folder that happens to hold the model would delete it.
        try scratch.write("{}", to: "config.json")
        try run(command, "../\(scratch.path.split(separator: "/").last!)/model", to: scratch.path, "--force")
            .expectFailure("apart from the model that is read")
        #expect(try scratch.bytes("model/model.safetensors") == before)
        #expect(scratch.entries() == ["config.json", "link", "model"])
        #expect(scratch.entries("model").count == 4)
    }

    @Test(arguments: commands) func keepsFilesThatLinksLeadTo(command: [String]) throws {
        // As in Hugging Face's cache: a folder of links to files that lie elsewhere.
        try writeModel()
        try scratch.makeFolder("snapshot")
        for name in scratch.entries("model") {
            try FileManager.default.createSymbolicLink(
                atPath: scratch.path("snapshot/" + name), withDestinationPath: "../model/" + name)
        }
        try run(command, "snapshot", to: "model", "--force").expectFailure("apart from the model that is read")
        #expect(try run(command, "snapshot", to: "out").status == 0)
        #expect(scratch.entries("out").count == 4)
    }
}
