#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Testing

@testable import Checkpoints

@Suite struct FolderWriterTests {
    private let folder = TemporaryFolder()
    private var target: String { folder.path + "/model" }

    private func fill(_ writer: FolderWriter, _ text: String) throws {
        try writer.write(text, to: "config.json")
        let source = folder.write("tokens", to: "tokenizer.json")
        try writer.copy(source)
        let weights = try SafetensorsWriter(path: writer.partialPath(of: "model.safetensors"), names: [])
        try weights.finish()
    }

    @Test func showsTheFolderOnlyWhenItIsWhole() throws {
        let writer = try FolderWriter(path: target + "/")
        try fill(writer, "{}")
        #expect(!folder.entries.contains("model"))
        try writer.finish()
        #expect(folder.entries == ["model", "tokenizer.json"])
        #expect(try FileSystem.entries(of: target) == ["config.json", "model.safetensors", "tokenizer.json"])
        #expect(try folder.text(of: "model/tokenizer.json") == "tokens")
        #expect(try Checkpoint.open(path: target).tensors.isEmpty)
    }

    @Test func copiesTokenizerFiles() throws {
        folder.write("{}", to: "tokenizer.json")
        folder.write("{{ x }}", to: "chat_template.jinja")
        let files = TokenizerFiles(folder: folder.path, entries: ["tokenizer.json", "chat_template.jinja", "other"])
        let writer = try FolderWriter(path: target)
        try writer.copy(files)
        try writer.finish()
        #expect(try FileSystem.entries(of: target) == ["chat_template.jinja", "tokenizer.json"])
    }

    @Test func leavesNothingBehindUnlessFinished() throws {
        do {
            let writer = try FolderWriter(path: target)
            try fill(writer, "{}")
        }
        #expect(folder.entries == ["tokenizer.json"])
        let writer = try FolderWriter(path: target)
        writer.abandon()
        writer.abandon()
        #expect(folder.entries == ["tokenizer.json"])
    }

    @Test func twoWritersDoNotDisturbEachOther() throws {
        let first = try FolderWriter(path: target)
        let second = try FolderWriter(path: target)
        try fill(first, #"{"first":1}"#)
        try fill(second, #"{"second":2}"#)
        try first.finish()
        #expect(checkpointError { try second.finish() }?.kind == .conflict)
        #expect(try folder.text(of: "model/config.json") == #"{"first":1}"#)
        #expect(folder.entries == ["model", "tokenizer.json"])
    }

    @Test func takesAnEmptyFolder() throws {
        _ = folder.makeFolder("model")
        let writer = try FolderWriter(path: target)
        try fill(writer, "{}")
        try writer.finish()
        #expect(folder.entries == ["model", "tokenizer.json"])
    }

    @Test func refusesWhatIsTaken() throws {
        _ = folder.makeFolder("model")
        folder.write("precious", to: "model/notes.txt")
        folder.write("file", to: "file")
        let taken = try #require(checkpointError { try FolderWriter(path: target) })
        #expect(taken.description.contains("expected a new or empty folder"))
        // No model: not deleted even if overwriting is asked for.
        #expect(checkpointError { try FolderWriter(path: target, overwriting: true) }?.kind == .conflict)
        #expect(checkpointError { try FolderWriter(path: folder.path + "/file", overwriting: true) }?.kind == .conflict)
        #expect(checkpointError { try FolderWriter(path: "/") }?.kind == .conflict)
        #expect(checkpointError { try FolderWriter(path: "") }?.kind == .conflict)
        #expect(checkpointError { try FolderWriter(path: folder.path + "/no/model") }?.kind == .system)
        #expect(checkpointError { try FolderWriter(path: "/dev/null/model") }?.kind == .system)
        #expect(try folder.text(of: "model/notes.txt") == "precious")
        #expect(folder.entries == ["file", "model"])
    }

    @Test func replacesAModelWhenAsked() throws {
        _ = folder.makeFolder("model")
        _ = folder.makeFolder("model/extra")
        folder.write("{}", to: "model/config.json")
        folder.write("x", to: "model/extra/file")
        #expect(symlink(folder.path, folder.path + "/model/extra/link") == 0)
        let writer = try FolderWriter(path: target, overwriting: true)
        try fill(writer, #"{"new":1}"#)
        #expect(try folder.text(of: "model/config.json") == "{}")
        try writer.finish()
        #expect(try folder.text(of: "model/config.json") == #"{"new":1}"#)
        // The link inside the old model was removed, not followed.
        #expect(folder.entries == ["model", "tokenizer.json"])
    }

    @Test func keepsTheOldModelWhenItFails() throws {
        _ = folder.makeFolder("model")
        folder.write("{}", to: "model/config.json")
        let writer = try FolderWriter(path: target, overwriting: true)
        FileSystem.remove(writer.partialPath)
        #expect(checkpointError { try writer.finish() }?.kind == .system)
        #expect(try folder.text(of: "model/config.json") == "{}")
        #expect(folder.entries == ["model"])
    }

    @Test func followsALinkToTheTarget() throws {
        let real = folder.makeFolder("real")
        #expect(symlink(real, target) == 0)
        let writer = try FolderWriter(path: target)
        try fill(writer, "{}")
        try writer.finish()
        #expect(try FileSystem.entries(of: real).count == 3)
        #expect(folder.entries == ["model", "real", "tokenizer.json"])
    }
}
