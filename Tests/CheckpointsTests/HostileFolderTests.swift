#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import OrderedJSON
import Tensors
import Testing

@testable import Checkpoints

/// Folders made to hurt whoever opens them. Each must be refused with a sentence, at once and in little memory.
@Suite(.timeLimit(.minutes(20))) struct HostileFolderTests {
    private let folder = TemporaryFolder()

    private func openError() throws -> CheckpointError {
        try #require(checkpointError { try Checkpoint.open(path: folder.path) })
    }

    private func writeWeights() {
        folder.write(
            safetensors(#"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0]),
            to: "model.safetensors")
    }

    @Test(arguments: ["[", #"{"a":"#, "[[],"]) func refusesNestingWithoutEnd(opening: String) throws {
        writeWeights()
        folder.write(String(repeating: opening, count: 1 << 20), to: "config.json")
        let error = try openError()
        #expect(error.kind == .damaged && error.found.contains("nested deeper than \(JSON.maximumDepth) levels"))
        // The same in the header of weights.
        folder.write("{}", to: "config.json")
        folder.write(
            safetensors(#"{"a":"# + String(repeating: opening, count: 1 << 18)), to: "model.safetensors")
        #expect(try openError().found.contains("nested deeper than"))
    }

    @Test func refusesLargeConfigurations() throws {
        writeWeights()
        folder.write("{}", to: "config.json")
        #expect(truncate(folder.path + "/config.json", 1 << 40) == 0)
        #expect(try openError().description.contains("config.json: the file: expected at most 16777216 bytes"))
        folder.write("{}", to: "config.json")
        folder.write("{}", to: "b.safetensors")
        FileSystem.remove(folder.path + "/model.safetensors")
        folder.write("{}", to: "model.safetensors.index.json")
        #expect(truncate(folder.path + "/model.safetensors.index.json", 1 << 40) == 0)
        #expect(try openError().description.contains("the file: expected at most 100000000 bytes"))
    }

    @Test(arguments: [
        "1e999999999", "-1e400", "18446744073709551616", "9223372036854775808", "1.5", "-1", "null", "\"4\"",
    ])
    func refusesImpossibleSizes(number: String) throws {
        folder.write("{}", to: "config.json")
        for header in [
            #"{"a":{"dtype":"F32","shape":[\#(number)],"data_offsets":[0,4]}}"#,
            #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,\#(number)]}}"#,
        ] {
            folder.write(safetensors(header, data: [0, 0, 0, 0]), to: "model.safetensors")
            #expect(try openError().kind == .damaged)
        }
    }

    @Test func refusesAMillionDigits() throws {
        folder.write("{}", to: "config.json")
        let digits = String(repeating: "9", count: 1 << 20)
        folder.write(
            safetensors(#"{"a":{"dtype":"F32","shape":[\#(digits)],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0]),
            to: "model.safetensors")
        let error = try openError()
        #expect(error.kind == .damaged && error.description.utf8.count < 1000)
    }

    @Test func refusesTensorsThatShareBytesOrNames() throws {
        folder.write("{}", to: "config.json")
        let entry = #"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#
        folder.write(safetensors(#"{"a":\#(entry),"b":\#(entry)}"#, data: [0, 0, 0, 0]), to: "model.safetensors")
        #expect(try openError().description.contains("where the tensor before it ends"))
        folder.write(safetensors(#"{"a":\#(entry),"a":\#(entry)}"#, data: [0, 0, 0, 0]), to: "model.safetensors")
        #expect(try openError().found.contains("occurs twice"))
    }

    /// A pipe that nobody writes to would be waited for without end.
    @Test(arguments: ["config.json", "model.safetensors", "model.safetensors.index.json"])
    func refusesNamedPipes(name: String) throws {
        folder.write("{}", to: "config.json")
        if name != "model.safetensors.index.json" { writeWeights() }
        FileSystem.remove(folder.path + "/" + name)
        #expect(mkfifo(folder.path + "/" + name, 0o644) == 0)
        #expect(try openError().description == "cannot open \(folder.path)/\(name): it is not a regular file")
        FileSystem.remove(folder.path + "/" + name)
        #expect(symlink("/dev/zero", folder.path + "/" + name) == 0)
        #expect(try openError().description == "cannot open \(folder.path)/\(name): it is not a regular file")
    }

    /// A file itself may be a link, to anywhere, as in Hugging Face's cache; it is opened only to be read as what it
    /// should be, and a sentence on it quotes nothing of what is there.
    @Test func quotesNothingOfWhatALinkLeadsTo() throws {
        folder.write("{}", to: "config.json")
        #expect(symlink("/etc/passwd", folder.path + "/model.safetensors") == 0)
        #expect(try !openError().description.contains("root"))
        FileSystem.remove(folder.path + "/config.json")
        #expect(symlink("/etc/passwd", folder.path + "/config.json") == 0)
        #expect(try !openError().description.contains("root"))
        FileSystem.remove(folder.path + "/config.json")
        #expect(symlink("config.json", folder.path + "/config.json") == 0)
        #expect(try openError().kind == .system)
    }

    @Test func namesPickledWeightsOfAnIndex() throws {
        folder.write("{}", to: "config.json")
        folder.write("x", to: "pytorch_model-00001-of-00002.bin")
        folder.write("{}", to: "pytorch_model.bin.index.json")
        #expect(try openError().found.contains("which can run code when it is loaded"))
    }
}
