import OrderedJSON
import Tensors
import TestSupport
import Testing

@testable import Checkpoints

@Suite struct CompressedTensorsTests {
    private let folder = TemporaryFolder()

    @Test(arguments: CompressedVector.all) func readsWhatTheLibraryWrote(vector: CompressedVector) throws {
        vector.write(to: folder)
        let checkpoint = try Checkpoint.open(path: folder.path)
        #expect(Set(checkpoint.tensors.map(\.name)) == Set(vector.tensors.keys))
        #expect(checkpoint.configuration == [:])  // what is left to say about dense weights
        for (name, dense) in vector.tensors {
            let description = try #require(checkpoint[name])
            #expect(description.shape == dense.shape && description.encoding.elementType == dense.type.elementType)
            let whole = try bytes(checkpoint, name, rows: 0..<description.rows, as: dense.type)
            #expect(whole == dense.bytes, "\(name)")
            // Rows alone, the last one first.
            let rowByteCount = dense.bytes.count / description.rows
            for row in (0..<description.rows).reversed() {
                let line = try bytes(checkpoint, name, rows: row..<row + 1, as: dense.type)
                #expect(line == Array(dense.bytes[row * rowByteCount..<(row + 1) * rowByteCount]), "\(name) \(row)")
            }
            try checkpoint.checkFinite(name)
            checkpoint.release(name)
            #expect(try bytes(checkpoint, name, rows: 0..<description.rows, as: dense.type) == whole)
        }
    }

    private func bytes(
        _ checkpoint: Checkpoint, _ name: String, rows: Range<Int>, as type: WeightType
    ) throws -> [UInt8] {
        let count = rows.count * (checkpoint[name]?.columns ?? 0) * type.byteCount
        let output = AlignedBuffer<UInt8>(repeating: 0xAA, count: count)
        try output.withBytes { try checkpoint.read(name, rows: rows, as: type, into: $0) }
        return output.array
    }

    @Test(arguments: WeightType.allCases) func convertsAsADenseTensorDoes(type: WeightType) throws {
        for vector in CompressedVector.all {
            let sparse = TemporaryFolder()
            let plain = TemporaryFolder()
            vector.write(to: sparse)
            let writer = try SafetensorsWriter(path: plain.path + "/model.safetensors", names: vector.tensors.keys)
            for (name, dense) in vector.tensors {
                try dense.bytes.withUnsafeBytes { bytes in
                    _ = try writer.append(name, type: dense.type.elementType, shape: dense.shape, bytes: bytes)
                }
            }
            try writer.finish()
            plain.write("{}", to: "config.json")
            let (first, second) = (try Checkpoint.open(path: sparse.path), try Checkpoint.open(path: plain.path))
            for (name, dense) in vector.tensors {
                let rows = 0..<dense.shape[0]
                #expect(try bytes(first, name, rows: rows, as: type) == bytes(second, name, rows: rows, as: type))
            }
        }
    }

    @Test(arguments: [
        (#"{"quantization_config":{"quant_method":"compressed-tensors","format":"pack-quantized"}}"#, "pack-quantized"),
        (#"{"quantization_config":{"format":"int-quantized","config_groups":{"a":{}}}}"#, "int-quantized"),
        (#"{"compression_config":{"format":"float-quantized"}}"#, "float-quantized"),
        (#"{"quantization_config":{"format":"marlin-24"}}"#, "marlin-24"),
        (#"{"quantization_config":{"format":"nvfp4-pack-quantized"}}"#, "nvfp4-pack-quantized"),
        (#"{"quantization_config":{"quant_method":"gptq","bits":4}}"#, "gptq"),
        (#"{"sparseml_quantization_config":{"format":"naive-quantized"}}"#, "naive-quantized"),
        (#"{"quantization_config":{"config_groups":{"group_0":{}}}}"#, "quantised matrices"),
        (
            #"{"quantization_config":{"format":"float-quantized","sparsity_config":{"format":"sparse-24-bitmask"}}}"#,
            "float-quantized"
        ),
        (#"{"sparsity_config":{"format":"sparse-99"}}"#, "sparse-99"),
    ])
    func namesFormatsThatAreNotRead(configuration: String, format: String) throws {
        folder.write(configuration, to: "config.json")
        folder.write(safetensors("{}"), to: "model.safetensors")
        let error = try #require(checkpointError { try Checkpoint.open(path: folder.path) })
        #expect(error.kind == .unsupported && error.found == "\"\(format)\"")
        #expect(
            error.expected == "plain weights, or compressed-tensors' sparse-bitmask or sparse-24-bitmask")
    }

    @Test(arguments: [
        "{}", #"{"quantization_config":null}"#, #"{"quantization_config":{}}"#,
        #"{"quantization_config":{"quant_method":"compressed-tensors","format":"dense","config_groups":{}}}"#,
        #"{"sparsity_config":{"format":"dense"}}"#,
    ])
    func takesWhatIsNotCompressedAsItIs(configuration: String) throws {
        folder.write(configuration, to: "config.json")
        folder.write(
            safetensors(#"{"a.shape":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, data: [0, 0, 0, 0]),
            to: "model.safetensors")
        let checkpoint = try Checkpoint.open(path: folder.path)
        #expect(checkpoint.tensors.map(\.name) == ["a.shape"] && checkpoint.configuration == [:])
    }

    @Test func refusesASectionThatIsNone() throws {
        folder.write(#"{"quantization_config":"gptq"}"#, to: "config.json")
        folder.write(safetensors("{}"), to: "model.safetensors")
        #expect(checkpointError { try Checkpoint.open(path: folder.path) }?.kind == .damaged)
    }
}

/// A matrix [3, 10] of four values, and what may be wrong with it.
@Suite struct DamagedBitmaskTests {
    private let folder = TemporaryFolder()

    private struct Parts {
        var shape: (type: ElementType, shape: [Int], values: [Int64]) = (.i64, [2], [3, 10])
        var offsets: (type: ElementType, shape: [Int], values: [Int64]) = (.i64, [3], [0, 2, 2])
        var bitmask: (type: ElementType, shape: [Int], values: [UInt8]) = (
            .u8, [3, 2], [0b1000_0001, 0, 0, 0, 0b10, 0b10]
        )
        var values: [Float] = [1, 2, 3, 4]
        var valueType = ElementType.f32
        var omitted = ""
        var added: [String] = []
    }

    private func open(_ parts: Parts) throws -> Checkpoint {
        folder.write(#"{"sparsity_config":{"format":"sparse-bitmask"}}"#, to: "config.json")
        let names = ["a.shape", "a.row_offsets", "a.compressed", "a.bitmask"].filter { $0 != parts.omitted }
        let writer = try SafetensorsWriter(path: folder.path + "/model.safetensors", names: names + parts.added)
        func append<Element: BitwiseCopyable>(
            _ name: String, _ type: ElementType, _ shape: [Int], _ values: [Element]
        ) throws {
            guard name != parts.omitted else { return }
            try Array(Storage(values).bytes).withUnsafeBytes {
                _ = try writer.append(name, type: type, shape: shape, bytes: $0)
            }
        }
        try append("a.shape", parts.shape.type, parts.shape.shape, parts.shape.values)
        try append("a.row_offsets", parts.offsets.type, parts.offsets.shape, parts.offsets.values)
        try append("a.compressed", parts.valueType, [parts.values.count], parts.values)
        try append("a.bitmask", parts.bitmask.type, parts.bitmask.shape, parts.bitmask.values)
        for name in parts.added { try append(name, .f32, [1], [Float(0)]) }
        try writer.finish()
        return try Checkpoint.open(path: folder.path)
    }

    /// The sentence of opening it, or of reading all of it.
    private func sentence(_ change: (inout Parts) -> Void) throws -> String {
        var parts = Parts()
        change(&parts)
        return try #require(checkpointError { try open(parts).floats("a.weight") }).description
    }

    @Test func readsWhatIsRight() throws {
        var expected = [Float](repeating: 0, count: 30)
        for (index, value) in [(0, 1), (7, 2), (21, 3), (29, 4)] { expected[index] = Float(value) }
        #expect(try open(Parts()).floats("a.weight") == expected)
    }

    @Test func namesAMissingPart() throws {
        for name in ["a.shape", "a.row_offsets", "a.compressed", "a.bitmask"] {
            let text = try sentence { $0.omitted = name }
            #expect(text.contains("tensor \"a.weight\": expected its part \"\(name)\", found none of that name"))
        }
    }

    @Test func refusesPartsThatDoNotFit() throws {
        #expect(
            try sentence { $0.shape.values = [3, 20] }.contains("\"a.bitmask\": expected a bit for each of [3, 20]"))
        #expect(try sentence { $0.shape.values = [0, 10] }.contains("expected sizes from 1 to"))
        #expect(try sentence { $0.shape.values = [3, .max] }.contains("expected sizes from 1 to"))
        #expect(try sentence { $0.shape.values = [-3, 10] }.contains("expected sizes from 1 to"))
        #expect(try sentence { $0.shape = (.u64, [2], [3, 10]) }.contains("\"a.shape\": expected the shape of"))
        #expect(try sentence { $0.shape = (.i64, [3], [3, 10, 1]) }.contains("\"a.shape\": expected the shape of"))
        #expect(try sentence { $0.bitmask.type = .i8 }.contains("as U8, found I8 [3, 2]"))
        #expect(try sentence { $0.bitmask.shape = [6] }.contains("as U8, found U8 [6]"))
        #expect(try sentence { $0.offsets = (.i64, [2], [0, 2]) }.contains("expected 3 offsets as I64, found I64 [2]"))
        #expect(try sentence { $0.offsets.type = .u64 }.contains("expected 3 offsets as I64, found U64 [3]"))
        #expect(try sentence { $0.valueType = .i32 }.contains("expected values of F16, BF16 or F32, found I32"))
        #expect(try sentence { $0.added = ["a.weight"] }.contains("tensor \"a.weight\": expected it once"))
    }

    @Test func refusesBitsAndOffsetsThatContradictEachOther() throws {
        let row = "tensor \"a.weight\", row"
        #expect(
            try sentence { $0.bitmask.values[2] = 1 }.contains(
                "\(row) 1 of its bitmask: expected 0 bits that are set, as its offsets say, found 1"))
        #expect(try sentence { $0.bitmask.values[0] = 1 }.contains("\(row) 0 of its bitmask: expected 2 bits"))
        #expect(
            try sentence { $0.bitmask.values[5] = 0b100 }.contains(
                "\(row) 2 of its bitmask: expected no bits behind column 9, found some that are set"))
        #expect(try sentence { $0.offsets.values = [1, 2, 2] }.contains("expected values from 0 on, found 1"))
        #expect(try sentence { $0.offsets.values = [0, 2, 1] }.contains("offsets that rise within 4 values"))
        #expect(try sentence { $0.offsets.values = [0, 2, 9] }.contains("offsets that rise within 4 values"))
        #expect(try sentence { $0.offsets.values = [0, .min, 2] }.contains("offsets that rise within 4 values"))
        #expect(try sentence { $0.offsets.values = [0, 2, .max] }.contains("offsets that rise within 4 values"))
        #expect(try sentence { $0.values = [1, 2, 3] }.contains("\(row) 2 of its bitmask: expected 1 bits"))
        #expect(try sentence { $0.values = [1, 2, 3, 4, 5] }.contains("\(row) 2 of its bitmask: expected 3 bits"))
        #expect(try sentence { $0.values = [] }.contains("offsets that rise within 0 values"))
    }

    @Test func namesThePlaceOfANaN() throws {
        let place = "tensor \"a.weight\", row 2, column 9: expected a finite number, found nan"
        #expect(try sentence { $0.values[3] = .nan }.contains(place))
        var parts = Parts()
        parts.values[2] = 1e30
        let checkpoint = try open(parts)
        let error = checkpointError { try checkpoint.halves("a.weight", as: .f16) }
        #expect(
            error?.description.contains("row 2, column 1: expected a finite number, found 1e+30, which f16") == true)
        try checkpoint.checkFinite("a.weight")
        parts.values[0] = .infinity
        let damaged = try open(parts)
        #expect(checkpointError { try damaged.checkFinite("a.weight") }?.found == "inf")
    }
}

/// Damaged files must read as something or throw one sentence.
@Suite(.timeLimit(.minutes(20))) struct BitmaskFuzzTests {
    @Test func survivesMutatedFiles() throws {
        var generator = SplitMix64(seed: 6)
        let folder = TemporaryFolder()
        var (opened, read, refused) = (0, 0, 0)
        for round in 0..<1_000 {
            let vector = CompressedVector.all[round % CompressedVector.all.count]
            var bytes = vector.file
            let headerEnd = 8 + Int(bytes[0]) + Int(bytes[1]) << 8
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                // Mostly the data, whose meaning is the reader's business; the header has its own fuzzer.
                let inData = Int.random(in: 0..<8, using: &generator) > 0
                let position = Int.random(in: inData ? headerEnd..<bytes.count : 8..<headerEnd, using: &generator)
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                case 1: bytes[position] = .random(in: 0...255, using: &generator)
                case 2: for index in position..<min(position + 8, bytes.count) { bytes[index] = 0xFF }
                default: for index in position..<min(position + 8, bytes.count) { bytes[index] = 0 }
                }
            }
            vector.write(to: folder, file: bytes)
            guard let checkpoint = try? Checkpoint.open(path: folder.path) else { continue }
            opened += 1
            for tensor in checkpoint.tensors where tensor.encoding.isReadable && tensor.elementCount < 1 << 16 {
                do {
                    _ = try checkpoint.floats(tensor.name)
                    read += 1
                } catch {
                    refused += 1
                    #expect(!error.description.contains("\n"))
                }
                _ = try? checkpoint.checkFinite(tensor.name)
            }
        }
        // Mutations that all die in the header, or that are never noticed, would test little.
        #expect(opened > 350 && read > 350 && refused > 150)
    }
}
