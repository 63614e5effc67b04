import ModelFixtures
import OrderedJSON
import Sparse
import Tensors
import TestSupport
import Testing

@testable import Checkpoints

/// Packed folders whose description or bytes are damaged: opening, taking matrices and checking them must either work
/// or throw, and changed bytes never pass the check.
@Suite(.timeLimit(.minutes(20))) struct PackedFuzzTests {
    /// A format and the values in it.
    struct Kind: Sendable, CustomTestStringConvertible {
        let format: PackedFormat
        var values = ValueChoice.exact

        var testDescription: String { "\(format) \(values)" }
    }

    private static let kinds =
        PackedFormat.allCases.map { Kind(format: $0) } + [
            Kind(format: .tiledBitmap, values: .quantized(.i16, .columns32)),
            Kind(format: .tiledBitmap, values: .quantized(.i4, .row)),
            Kind(format: .dense, values: .quantized(.i8, .columns64)),
        ]

    /// A packed model of one small layer, its matrices of one kind.
    private func packedFolder(_ kind: Kind) throws -> TemporaryFolder {
        let format = kind.format
        let folder = TemporaryFolder()
        var model = TinyModel(type: format == .tiledCSL ? .bf16 : .f16, sparsity: 0.7)
        model.layerCount = 1
        model.hiddenSize = 16
        model.intermediateSize = 40
        model.headSize = 4
        try model.write(to: folder.path + "/model")
        let checkpoint = try Checkpoint.open(path: folder.path + "/model")
        let packer = ModelPacker(
            checkpoint, matrices: model.projections.map(\.name), pool: WorkerPool(threadCount: 1))
        _ = try packer.pack(
            to: .init(path: folder.path + "/packed", overwriting: false, companions: { _ in }), choice: .fixed(format),
            values: kind.values)
        return folder
    }

    private func bytes(_ name: String, in folder: TemporaryFolder) throws -> [UInt8] {
        Array(try Checkpoint.fileBytes(folder.path + "/packed/" + name))
    }

    /// Everything that may be done with a packed folder from outside.
    /// - Returns: how many matrices and tensors passed the check; nil if the folder cannot be opened.
    private func exercise(_ folder: TemporaryFolder) -> Int? {
        guard let checkpoint = try? Checkpoint.open(path: folder.path + "/packed"),
            let packed = try? PackedWeights(checkpoint)
        else { return nil }
        return packed.names.count { name in
            guard (try? packed.check(name)) != nil else { return false }
            // What has passed can be used without further checks.
            switch try? packed.matrix(name) {
            case .quantized(let matrix): return matrix.dequantized().count == matrix.rows * matrix.columns
            case .tiledBitmap(let bitmap): return bitmap.dense().count == bitmap.rows * bitmap.columns
            case .slicedEllpack(let ellpack): return ellpack.dense().count == ellpack.rows * ellpack.columns
            case .tiledCSL(let csl): return csl.dense().count == csl.rows * csl.columns
            case .dense(let dense): return dense.bytes.array.count == dense.storedByteCount
            case nil: return checkpoint[name] != nil
            }
        }
    }

    /// Replaces a number, a word or a byte by another one that the text holds, or by one that overflows.
    private func mutate(_ text: [UInt8], _ generator: inout SplitMix64) -> [UInt8] {
        var text = text
        func isPart(_ byte: UInt8) -> Bool { byte >= 0x30 && byte <= 0x7A || byte == 0x2D || byte == 0x2E }
        func token(_ generator: inout SplitMix64) -> Range<Int> {
            let place = Int.random(in: 0..<text.count, using: &generator)
            let start = text[..<place].lastIndex { !isPart($0) }.map { $0 + 1 } ?? 0
            return start..<(text[start...].firstIndex { !isPart($0) } ?? text.count)
        }
        for _ in 0..<Int.random(in: 1...3, using: &generator) {
            switch Int.random(in: 0..<5, using: &generator) {
            case 0: text[Int.random(in: 0..<text.count, using: &generator)] = .random(in: 0...255, using: &generator)
            case 1:
                let numbers = [
                    "0", "-1", "1", "31", "33", "2147483647", "2147483648", "4611686018427387904",
                    "9223372036854775807",
                    "1e300", "null",
                ]
                text.replaceSubrange(token(&generator), with: Array(numbers.randomElement(using: &generator)!.utf8))
            case 2:
                let words = [
                    "dense", "tiled-bitmap", "tiled-csl", "sliced-ellpack", "f16", "bf16", "f32", "F16", "U32", "I32",
                    "00000000", "i8", "i4", "i16", "group", "row", "128", "U8", "U64", "BF16",
                ]
                text.replaceSubrange(token(&generator), with: Array(words.randomElement(using: &generator)!.utf8))
            default:
                let source = Array(text[token(&generator)])
                text.replaceSubrange(token(&generator), with: source)
            }
            if text.isEmpty { return [0] }
        }
        return text
    }

    @Test(arguments: kinds) func survivesMutatedConfigurations(kind: Kind) throws {
        let folder = try packedFolder(kind)
        let original = try bytes("config.json", in: folder)
        var generator = SplitMix64(seed: 21)
        var opened = 0
        for _ in 0..<1500 {
            folder.write(mutate(original, &generator), to: "packed/config.json")
            if let passed = exercise(folder), passed > 0 { opened += 1 }
        }
        #expect(opened > 150)  // mutations that all die in the parser would test little
    }

    @Test(arguments: kinds) func survivesMutatedHeaders(kind: Kind) throws {
        let folder = try packedFolder(kind)
        let whole = try bytes("model.safetensors", in: folder)
        let length = Int(Storage(Array(whole[..<8])).reinterpreted(as: UInt64.self)![0])
        let text = whole[8..<8 + length]
        let end = text.lastIndex { $0 != UInt8(ascii: " ") }! + 1  // not the padding, which is most of it
        var generator = SplitMix64(seed: 22)
        var opened = 0
        for _ in 0..<1500 {
            let header = mutate(Array(text[..<end]), &generator)
            var file = withUnsafeBytes(of: UInt64(header.count).littleEndian, Array.init) + header
            file += whole[(8 + length)...]
            folder.write(file, to: "packed/model.safetensors")
            if exercise(folder) != nil { opened += 1 }
        }
        #expect(opened > 50)
    }

    /// A byte of a tensor that is not what was written is found by the check of its matrix, and of no other.
    @Test(arguments: kinds) func findsEveryChangedByte(kind: Kind) throws {
        let folder = try packedFolder(kind)
        let whole = try bytes("model.safetensors", in: folder)
        let tensors = try SafetensorsFile(path: folder.path + "/packed/model.safetensors").tensors.values
            .filter { !$0.name.hasPrefix(SafetensorsFile.paddingPrefix) }
        let names = try #require(try PackedWeights(Checkpoint.open(path: folder.path + "/packed"))).names
        var generator = SplitMix64(seed: 23)
        for round in 0..<800 {
            let tensor = tensors[round % tensors.count]
            var file = whole
            // One byte, or a burst of up to eight.
            let place = Int.random(in: tensor.byteRange, using: &generator)
            let burst = place..<min(place + [1, 1, 8].randomElement(using: &generator)!, tensor.byteRange.upperBound)
            for index in burst { file[index] ^= .random(in: 1...255, using: &generator) }
            folder.write(file, to: "packed/model.safetensors")
            let packed = try #require(try PackedWeights(Checkpoint.open(path: folder.path + "/packed")))
            let damaged = names.filter { name in (try? packed.check(name)) == nil }
            #expect(damaged.count == 1 && tensor.name.hasPrefix(damaged[0]), "\(tensor.name), bytes \(burst)")
            _ = try? packed.matrix(damaged.first ?? "")
        }
    }

    @Test func coversEveryTensor() throws {
        let folder = try packedFolder(Kind(format: .tiledBitmap))
        let checkpoint = try Checkpoint.open(path: folder.path + "/packed")
        let packed = try #require(try PackedWeights(checkpoint))
        #expect(packed.names.count == 7 + 4)
        #expect(Set(packed.names.prefix(7)) == Set(packed.manifest.matrices.keys))
        // A tensor that the description does not know, and one that it knows and that is gone.
        var members = checkpoint.configuration.objectValue!
        var section = members["flash_llm"]!.objectValue!
        var sums = section["checksums"]!.objectValue!
        sums.removeValue(forKey: "model.norm.weight")
        sums["model.gone.weight"] = "00000000"
        section["checksums"] = .object(sums)
        members["flash_llm"] = .object(section)
        folder.write(JSON.object(members).text(), to: "packed/config.json")
        let changed = try #require(try PackedWeights(Checkpoint.open(path: folder.path + "/packed")))
        #expect(changed.names.count == 12)
        #expect(checkpointError { try changed.check("model.norm.weight") }?.expected == "a checksum for it")
        #expect(checkpointError { try changed.check("model.gone.weight") }?.kind == .missing)
    }
}
