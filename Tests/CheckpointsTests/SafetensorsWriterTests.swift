#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif
import Tensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct SafetensorsWriterTests {
    private let folder = TemporaryFolder()
    private var path: String { folder.path + "/model.safetensors" }

    /// The reader checks the format's rules; here come ours: alignment, order, and the same bytes back.
    @Test(arguments: [0, 1, 2, 13, 63, 64, 65, 127, 128, 129]) func readsBackWhatItWrites(count: Int) throws {
        var generator = SplitMix64(seed: UInt64(count))
        var contents: [(name: String, type: ElementType, bytes: [UInt8])] = []
        for (index, type) in ElementType.allCases.enumerated() {
            let bytes = (0..<count * type.byteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
            contents.append(("tensor \"\(index)\" \u{1F600}\n", type, bytes))
        }
        let writer = try SafetensorsWriter(
            path: path, names: contents.map(\.name) + ["never written"], metadata: ["format": "pt", "quote": "\""])
        for (name, type, bytes) in contents {
            let checksum = try bytes.withUnsafeBytes { try writer.append(name, type: type, shape: [count], bytes: $0) }
            #expect(checksum == CRC32C.checksum(of: Storage(bytes)))
        }
        #expect(!folder.entries.contains("model.safetensors"))
        try writer.finish()
        #expect(folder.entries == ["model.safetensors"])

        let file = try SafetensorsFile(path: path)
        #expect(file.metadata == ["format": "pt", "quote": "\""])
        let real = file.tensors.values.filter { !$0.name.hasPrefix(SafetensorsFile.paddingPrefix) }
        #expect(real.map(\.name) == contents.map(\.name))
        for (tensor, (_, type, bytes)) in zip(real, contents) {
            #expect(tensor.shape == [count] && tensor.encoding.elementType == type)
            #expect(file.bytes(of: tensor).array == bytes)
            #expect(count == 0 || tensor.byteRange.lowerBound % SafetensorsWriter.alignment == 0)
        }
        // Nothing needs a gap where every tensor fills whole cache lines.
        if count % 64 == 0 { #expect(file.tensors.count == contents.count) }
    }

    @Test func takesTensorsInPieces() throws {
        let writer = try SafetensorsWriter(path: path, names: ["a", "scalar"], metadata: [:])
        try writer.begin("a", type: .f16)
        for piece in [[UInt8](repeating: 1, count: 5), [], [UInt8](repeating: 2, count: 7)] {
            try piece.withUnsafeBytes { try writer.write($0) }
        }
        try writer.end(shape: [3, 2])
        try [UInt8](repeating: 3, count: 4).withUnsafeBytes {
            _ = try writer.append("scalar", type: .f32, shape: [], bytes: $0)
        }
        try writer.finish()
        let file = try SafetensorsFile(path: path)
        #expect(file.tensors["a"].map { file.bytes(of: $0).array } == [1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 2])
        #expect(file.tensors["scalar"]?.shape == [])
        #expect(file.metadata.isEmpty)
    }

    /// The widest shapes and the longest escapes fit the room that the names' announcement left.
    @Test func reservesRoomForTheLongestHeader() throws {
        let names = (0..<300).map { String(repeating: "\u{1}", count: 20) + "\($0)" }
        let writer = try SafetensorsWriter(path: path, names: names)
        for name in names {
            try [UInt8](repeating: 0, count: 1).withUnsafeBytes {
                _ = try writer.append(name, type: .bool, shape: [1, 1, 1, 1, 1, 1, 1, 1], bytes: $0)
            }
        }
        try writer.finish()
        #expect(try SafetensorsFile(path: path).tensors.count == 599)
    }

    @Test func leavesNothingBehindUnlessFinished() throws {
        folder.write("before", to: "model.safetensors")
        do {
            let writer = try SafetensorsWriter(path: path, names: ["a"])
            try writer.begin("a", type: .u8)
            #expect(folder.entries.count == 2)
            withExtendedLifetime(writer) {}
        }
        #expect(folder.entries == ["model.safetensors"])
        #expect(try folder.text(of: "model.safetensors") == "before")
        let writer = try SafetensorsWriter(path: path, names: [])
        try writer.finish()
        #expect(try SafetensorsFile(path: path).tensors.isEmpty)
    }

    @Test func refusesNamesThatAreTaken() {
        for names in [["a", "a"], ["__metadata__"], ["__padding__.0"]] {
            #expect(checkpointError { try SafetensorsWriter(path: path, names: names) }?.kind == .conflict)
        }
        #expect(folder.entries == [])
    }

    @Test func saysWhyItCannotWrite() throws {
        let missing = checkpointError { try SafetensorsWriter(path: folder.path + "/no/model", names: []) }
        #expect(missing?.kind == .system)
        #expect(missing?.description.contains("No such file or directory") == true)
        #if os(Linux)
        let full = open("/dev/full", O_WRONLY)
        defer { close(full) }
        let error = try #require(
            checkpointError {
                try [UInt8](repeating: 0, count: 10).withUnsafeBytes { bytes in
                    try FileSystem.write(bytes, to: full, path: "/output/model.safetensors")
                }
            })
        #expect(error.description == "cannot write /output/model.safetensors: No space left on device")
        #endif
    }
}
