import Tensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct GGUFFileTests {
    private func parse(_ bytes: [UInt8]) throws(CheckpointError) -> GGUFHeader {
        try GGUFHeader(parsing: Storage(bytes), path: "model.gguf")
    }

    @Test(arguments: [UInt32(2), 3]) func readsMetadataAndTensors(version: UInt32) throws {
        var builder = GGUFBuilder()
        builder.version = version
        builder.add("name", "text")
        builder.add("count", UInt32(7))
        builder.add("ratio", Float(1e-5))
        builder.add("flag", true)
        builder.add("words", ["a", "", "\u{1F600}"])
        builder.add("numbers", [-1, 2] as [Int32])
        builder.add("none", [] as [String])
        builder.add("wide", type: 10, GGUFBuilder.bytes(UInt64.max))
        builder.add("double", type: 12, GGUFBuilder.bytes((0.1).bitPattern))
        builder.addTensor("a", [3, 2], floats: [1, 2, 3, 4, 5, 6])
        builder.addTensor("b", [32], type: 8, bytes: [UInt8](repeating: 1, count: 34))
        builder.addTensor("scalar", [], floats: [9])
        let folder = TemporaryFolder()
        let file = try GGUFFile(path: folder.write(builder.file, to: "model.gguf"))

        #expect(file.version == Int(version))
        #expect(file.metadata["name"]?.stringValue == "text")
        #expect(file.metadata["count"]?.intValue == 7)
        #expect(file.metadata["ratio"]?.doubleValue == 1e-5)
        #expect(file.metadata["flag"]?.boolValue == true)
        #expect(try file.metadata["words"]?.arrayValue?.strings() == ["a", "", "\u{1F600}"])
        #expect(file.metadata["numbers"]?.arrayValue?.integers() == [-1, 2])
        #expect(file.metadata["numbers"]?.arrayValue?.floats() == nil)
        #expect(try file.metadata["none"]?.arrayValue?.strings() == [])
        #expect(file.metadata["wide"]?.intValue == nil)
        #expect(file.metadata["double"]?.doubleValue == 0.1)
        #expect(Array(file.tensors.keys) == ["a", "b", "scalar"])
        #expect(file.tensors["a"]?.dimensions == [3, 2])
        #expect(file.tensors["b"]?.type == .Q8_0)
        let bytes = file.bytes(of: file.tensors["a"]!)
        #expect(bytes.reinterpreted(as: Float.self).map { $0.array } == [1, 2, 3, 4, 5, 6])
        #expect(file.bytes(of: file.tensors["scalar"]!).count == 4)
    }

    @Test(arguments: [1, 8, 64, 4096]) func honoursTheAlignment(alignment: Int) throws {
        var builder = GGUFBuilder()
        builder.alignment = alignment
        builder.add("general.alignment", UInt32(alignment))
        builder.addTensor("a", [1], floats: [1])
        builder.addTensor("b", [1], floats: [2])
        let header = try parse(builder.file)
        #expect(header.alignment == alignment)
        #expect(
            header.tensors["b"]!.byteRange.lowerBound - header.tensors["a"]!.byteRange.lowerBound == max(alignment, 4))
    }

    @Test func refusesEveryTruncation() {
        var builder = GGUFBuilder.llama()
        builder.add("words", ["one", "two"])
        builder.addTensor("a", [4, 2], floats: [Float](repeating: 1, count: 8))
        let bytes = builder.file
        for count in 0..<bytes.count {
            let error = checkpointError { try parse(Array(bytes[..<count])) }
            #expect(error?.kind == .damaged && error?.path == "model.gguf")
        }
    }

    /// Each case damages one thing; the error must say what was expected and what was found.
    @Test(arguments: GGUFDamage.all) func refuses(damage: GGUFDamage) throws {
        var builder = GGUFBuilder()
        damage.apply(&builder)
        let error = try #require(checkpointError { try parse(builder.file) })
        #expect(error.description.contains(damage.sentence), "\(error)")
        #expect(error.description.hasPrefix("model.gguf: "))
    }

    @Test func refusesOverlappingTensors() throws {
        var builder = GGUFBuilder()
        builder.addTensor("a", [16], floats: [Float](repeating: 1, count: 16))
        builder.addTensor("b", [8], type: 0, bytes: [UInt8](repeating: 0, count: 32), offset: 32)
        let error = try #require(checkpointError { try parse(builder.file) })
        #expect(error.description.contains("an overlap with \"a\""))
    }

    @Test func namesTypesThatItDoesNotDecodeOnlyWhenTheyAreRead() throws {
        var builder = GGUFBuilder.llama()
        builder.addTensor("other.weight", [256], type: 10, bytes: [UInt8](repeating: 0, count: 84))
        let folder = TemporaryFolder()
        let checkpoint = try Checkpoint.open(path: folder.write(builder.file, to: "model.gguf"))
        #expect(checkpoint["other.weight"]?.storedType == "Q2_K")
        let output = AlignedBuffer<Float>(repeating: 0, count: 256)
        let error = checkpointError {
            try output.withBytes { try checkpoint.read("other.weight", as: .f32, into: $0) }
        }
        #expect(error?.kind == .unsupported && error?.found == "Q2_K")
    }

    @Test func cutsHostileNamesInErrors() {
        let name = String(repeating: "x", count: 1000) + "\u{1B}[2J"
        #expect(name.quoted.count < 130)
        #expect("a\u{1B}[2J\n".quoted == "\"a\u{FFFD}[2J\u{FFFD}\"")
    }
}

/// One way to damage a GGUF file, and words that the error must have.
struct GGUFDamage: Sendable, CustomTestStringConvertible {
    let sentence: String
    let apply: @Sendable (inout GGUFBuilder) -> Void

    init(_ sentence: String, _ apply: @escaping @Sendable (inout GGUFBuilder) -> Void) {
        self.sentence = sentence
        self.apply = apply
    }

    var testDescription: String { sentence }

    private static let four = [UInt8](repeating: 0, count: 16)

    static let all: [GGUFDamage] = [
        GGUFDamage("the magic number: expected \"GGUF\", found \"PK") { $0.magic = Array("PK\u{3}\u{4}".utf8) },
        GGUFDamage("the version: expected 2 or 3, little-endian, found 1") { $0.version = 1 },
        GGUFDamage("found 4") { $0.version = 4 },
        GGUFDamage("a big-endian file") { $0.version = 3 << 24 },
        GGUFDamage("the tensor count: expected at most") { $0.tensorCount = .max },
        GGUFDamage("the metadata count: expected at most") { $0.metadataCount = 1 << 40 },
        GGUFDamage("the type of metadata \"\": expected 4 bytes at byte 32") { $0.metadataCount = 1 },
        GGUFDamage("\"a\" twice") { builder in
            builder.add("a", UInt32(1))
            builder.add("a", UInt32(2))
        },
        GGUFDamage("\"t\" twice") { builder in
            builder.addTensor("t", [4], type: 0, bytes: four)
            builder.addTensor("t", [4], type: 0, bytes: four)
        },
        GGUFDamage("expected a type number up to 12, found 13") { $0.add("a", type: 13, []) },
        GGUFDamage("expected 0 or 1 for a boolean, found 2") { $0.add("a", type: 7, [2]) },
        GGUFDamage("metadata \"a\": expected UTF-8") { $0.add("a", type: 8, GGUFBuilder.bytes(UInt64(1)) + [0xFF]) },
        GGUFDamage("the length of metadata \"a\": expected at most") {
            $0.add("a", type: 8, GGUFBuilder.bytes(UInt64.max))
        },
        GGUFDamage("metadata \"a\": expected 1000 bytes") { $0.add("a", type: 8, GGUFBuilder.bytes(UInt64(1000))) },
        GGUFDamage("an array of arrays") {
            $0.add("a", type: 9, GGUFBuilder.bytes(UInt32(9)) + GGUFBuilder.bytes(UInt64(1)))
        },
        GGUFDamage("the element count of metadata \"a\": expected at most") {
            $0.add("a", type: 9, GGUFBuilder.bytes(UInt32(11)) + GGUFBuilder.bytes(UInt64(1) << 61))
        },
        GGUFDamage("metadata \"a\": expected 8000 bytes") {
            $0.add("a", type: 9, GGUFBuilder.bytes(UInt32(11)) + GGUFBuilder.bytes(UInt64(1000)))
        },
        GGUFDamage("element 1 of metadata \"a\": expected 8 bytes") {
            $0.add("a", type: 9, GGUFBuilder.bytes(UInt32(8)) + GGUFBuilder.bytes(UInt64(1000)))
        },
        GGUFDamage("general.alignment: expected a power of two") { $0.add("general.alignment", UInt32(24)) },
        GGUFDamage("general.alignment: expected a power of two") { $0.add("general.alignment", UInt32(0)) },
        GGUFDamage("general.alignment: expected a power of two") { $0.add("general.alignment", UInt32(1 << 31)) },
        GGUFDamage("general.alignment: expected a power of two") { $0.add("general.alignment", "32") },
        GGUFDamage("tensor \"t\": expected at most 4 dimensions, found 5") {
            $0.addTensor("t", [1, 1, 1, 1, 1], type: 0, bytes: four)
        },
        GGUFDamage("tensor \"t\": expected dimensions from 1") { $0.addTensor("t", [0], type: 0, bytes: []) },
        GGUFDamage("tensor \"t\": expected dimensions from 1") { $0.addTensor("t", [.max], type: 0, bytes: []) },
        GGUFDamage("tensor \"t\": expected fewer than 2^63 elements") {
            $0.addTensor("t", [1 << 32, 1 << 32], type: 0, bytes: [])
        },
        GGUFDamage("tensor \"t\": expected rows of whole F32 blocks") {
            $0.addTensor("t", [1 << 62], type: 0, bytes: [])
        },
        GGUFDamage("tensor \"t\": expected rows of whole Q4_0 blocks of 32 elements, found 48 x 2 elements") {
            $0.addTensor("t", [48, 2], type: 2, bytes: [UInt8](repeating: 0, count: 54))
        },
        GGUFDamage("tensor \"t\": expected a known tensor type, found type number 99") {
            $0.addTensor("t", [4], type: 99, bytes: four)
        },
        GGUFDamage("tensor \"t\": expected an offset that is a multiple of 32, found 8") {
            $0.addTensor("t", [4], type: 0, bytes: four, offset: 8)
        },
        GGUFDamage("tensor \"t\": expected an offset that is a multiple of 32, found \(UInt64.max - 31)") {
            $0.addTensor("t", [4], type: 0, bytes: four, offset: .max - 31)
        },
        GGUFDamage("tensor \"t\": expected 16 bytes at offset 32 of the data") {
            $0.addTensor("t", [4], type: 0, bytes: four, offset: 32)
        },
        GGUFDamage("tensor \"t\": expected 16 bytes at offset 9223372036854775776") {
            $0.addTensor("t", [4], type: 0, bytes: four, offset: UInt64(Int.max) - 31)
        },
        GGUFDamage("the length of a tensor's name: expected at most 1024, found 1025") {
            $0.addTensor(String(repeating: "t", count: 1025), [4], type: 0, bytes: four)
        },
    ]
}
