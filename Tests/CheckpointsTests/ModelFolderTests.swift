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

@Suite struct ModelFolderTests {
    private let folder = TemporaryFolder()

    private func writeShard(_ file: String, _ tensors: [(String, [Float])]) throws {
        let writer = try SafetensorsWriter(path: folder.path + "/" + file, names: tensors.map(\.0))
        for (name, values) in tensors {
            try values.withUnsafeBytes { _ = try writer.append(name, type: .f32, shape: [values.count], bytes: $0) }
        }
        try writer.finish()
    }

    private func openError() throws -> CheckpointError {
        try #require(checkpointError { try Checkpoint.open(path: folder.path) })
    }

    @Test func opensASingleFile() throws {
        folder.write(#"{"model_type":"llama","hidden_size":2}"#, to: "config.json")
        folder.write("{}", to: "tokenizer.json")
        folder.write("x", to: "merges.txt")
        try writeShard("model.safetensors", [("a", [1, 2]), ("b", [3]), ("c", [4, .nan])])
        let checkpoint = try Checkpoint.open(path: folder.path)
        #expect(checkpoint.configuration["hidden_size"] == 2)
        // Padding is no tensor of the model.
        #expect(checkpoint.tensors.map(\.name) == ["a", "b", "c"])
        #expect(try checkpoint.floats("b") == [3])
        #expect(try checkpoint.halves("a", as: .bf16) == [0x3F80, 0x4000])
        #expect(try checkpoint.mappedBytes("a").count == 8)
        let mapped: Storage<Float>? = try checkpoint.mappedElements("a", stored: .f32)
        #expect(mapped.map { $0.array } == [1, 2])
        let other: Storage<UInt16>? = try checkpoint.mappedElements("a", stored: .f16)
        #expect(other == nil)
        #expect(checkpointError { try checkpoint.floats("c") }?.kind == .notFinite)
        #expect(checkpointError { try checkpoint.checkFinite("c") }?.kind == .notFinite)
        guard case .folder(let files) = try checkpoint.tokenizerSource() else {
            Issue.record("no folder")
            return
        }
        #expect(files.tokenizer == folder.path + "/tokenizer.json" && files.configuration == nil)
        #expect(files.all == [folder.path + "/tokenizer.json", folder.path + "/merges.txt"])
    }

    @Test func opensShards() throws {
        folder.write("{}", to: "config.json")
        try writeShard("one.safetensors", [("a", [1]), ("b", [2])])
        try writeShard("two.safetensors", [("c", [3]), ("d", [4])])
        folder.write(
            #"{"weight_map":{"a":"one.safetensors","b":"one.safetensors","c":"two.safetensors"}}"#,
            to: "model.safetensors.index.json")
        let checkpoint = try Checkpoint.open(path: folder.path)
        #expect(checkpoint.tensors.map(\.name) == ["a", "b", "c", "d"])
        #expect(try checkpoint.floats("c") == [3])
    }

    @Test func opensALinkToAShard() throws {
        folder.write("{}", to: "config.json")
        try writeShard("blob", [("a", [1])])
        #expect(symlink("blob", folder.path + "/model.safetensors") == 0)
        #expect(try Checkpoint.open(path: folder.path).floats("a") == [1])
    }

    @Test func opensTheOnlyGGUFFile() throws {
        folder.write(GGUFBuilder.llama().file, to: "model.gguf")
        folder.write("text", to: "README.md")
        #expect(try Checkpoint.open(path: folder.path).configuration["model_type"] == "llama")
        folder.write(GGUFBuilder.llama().file, to: "other.gguf")
        #expect(try openError().found == "2 GGUF files; name one of them instead")
    }

    @Test(arguments: [
        "../model.safetensors", "/etc/passwd", "sub/model.safetensors", "..", ".", "", "a\\\\b", "a\\u0000b",
    ])
    func refusesShardsOutsideTheFolder(name: String) throws {
        folder.write("{}", to: "config.json")
        folder.write(#"{"weight_map":{"a":"\#(name)"}}"#, to: "model.safetensors.index.json")
        let error = try openError()
        #expect(error.kind == .damaged && error.expected == "the plain name of a file in this folder")
    }

    @Test(arguments: ["[]", "{}", #"{"weight_map":1}"#, #"{"weight_map":{}}"#, #"{"weight_map":{"a":1}}"#, "", "{"])
    func refusesADamagedIndex(text: String) throws {
        folder.write("{}", to: "config.json")
        folder.write(text, to: "model.safetensors.index.json")
        #expect(try openError().kind == .damaged)
    }

    @Test func refusesIncompleteShards() throws {
        folder.write("{}", to: "config.json")
        folder.write(#"{"weight_map":{"a":"one.safetensors"}}"#, to: "model.safetensors.index.json")
        #expect(try openError().description.contains("expected the file \"one.safetensors\""))
        try writeShard("one.safetensors", [("b", [1])])
        #expect(
            try openError().description.contains(
                "tensor \"a\": expected it in \"one.safetensors\", found it in no file"))
        try writeShard("two.safetensors", [("a", [1])])
        folder.write(
            #"{"weight_map":{"a":"one.safetensors","b":"two.safetensors"}}"#, to: "model.safetensors.index.json")
        #expect(try openError().description.contains("found it in \(folder.path)/two.safetensors"))
        try writeShard("one.safetensors", [("a", [1])])
        #expect(try openError().description.contains("tensor \"a\": expected it in one file only"))
    }

    @Test(arguments: ["pytorch_model.bin", "consolidated.00.pth", "model.pt"])
    func refusesPickledWeights(name: String) throws {
        folder.write("{}", to: "config.json")
        folder.write("x", to: name)
        let error = try openError()
        #expect(error.kind == .unsupported)
        #expect(
            error.found == "only \"\(name)\", which can run code when it is loaded; convert it to safetensors first")
    }

    @Test func namesWhatIsMissing() throws {
        #expect(try openError().found == "an empty folder")
        folder.write("x", to: "README.md")
        #expect(try openError().kind == .missing)
        try writeShard("model.safetensors", [("a", [1])])
        #expect(try openError().expected == "config.json")
        folder.write("", to: "config.json")
        #expect(try openError().description.hasSuffix("config.json: the file: expected a JSON object, found no bytes"))
        folder.write("[]", to: "config.json")
        #expect(try openError().found == "an array")
        folder.write("{}", to: "config.json")
        folder.write("", to: "model.safetensors")
        #expect(try openError().found == "no bytes")
        let absent = try #require(checkpointError { try Checkpoint.open(path: folder.path + "/absent") })
        #expect(absent.description == "cannot open \(folder.path)/absent: No such file or directory")
        let device = try #require(checkpointError { try Checkpoint.open(path: "/dev/null") })
        #expect(device.kind == .unsupported)
        let empty = folder.write("", to: "empty.gguf")
        #expect(checkpointError { try Checkpoint.open(path: empty) }?.found == "no bytes")
    }
}
