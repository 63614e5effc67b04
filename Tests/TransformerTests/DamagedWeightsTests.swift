import Foundation
import OrderedJSON
import Sparse
import TestSupport
import Testing
import ModelFixtures
import Transformer

/// Weights that are not what was written are found before they are multiplied with, and named.
@Suite struct DamagedWeightsTests {
    /// A packed model on disk whose bytes can be changed while it is open.
    private struct PackedFolder {
        let folder = ScratchFolder()
        var path: String { folder.path + "/packed" }
        private var file: String { path + "/model.safetensors" }

        init(_ model: TinyModel, _ choice: FormatChoice, values: ValueChoice = .exact) throws {
            try model.write(to: folder.path + "/model")
            try OpenModel.pack(
                model, at: folder.path + "/model", to: path, choice, values: values, tableValues: values)
        }

        func open() throws -> OpenModel { try OpenModel(path: path, type: .f16, folder: folder) }

        /// Tensors by name with the range of their bytes in the file.
        func tensors() throws -> [(name: String, range: Range<Int>)] {
            let bytes = try Data(contentsOf: URL(filePath: file))
            let length = (0..<8).reduce(0) { $0 | Int(bytes[$1]) << (8 * $1) }
            let header = try JSON(parsing: Array(bytes[8..<8 + length]))
            return header.objectValue!.compactMap { name, entry in
                guard let offsets = entry["data_offsets"]?.arrayValue?.map({ $0.intValue! }) else { return nil }
                return (name, 8 + length + offsets[0]..<8 + length + offsets[1])
            }
        }

        func flip(bit: Int, at offset: Int) throws {
            let handle = try FileHandle(forUpdating: URL(filePath: file))
            try handle.seek(toOffset: UInt64(offset))
            let byte = try handle.read(upToCount: 1)![0]
            try handle.seek(toOffset: UInt64(offset))
            try handle.write(contentsOf: Data([byte ^ 1 << UInt8(bit)]))
            try handle.close()
        }
    }

    private static let kinds: [(choice: FormatChoice, values: ValueChoice)] = [
        (.fixed(.tiledBitmap), .exact), (.fixed(.tiledCSL), .exact), (.fixed(.slicedEllpack), .exact),
        (.fixed(.dense), .exact),
        (.fixed(.tiledBitmap), .quantized(.i4, .columns32)), (.fixed(.dense), .quantized(.i8, .row)),
    ]

    @Test(arguments: kinds) func namesWhatChangedAfterOpening(
        kind: (choice: FormatChoice, values: ValueChoice)
    ) throws {
        var model = TinyModel()
        model.sparsity = 0.5
        let folder = try PackedFolder(model, kind.choice, values: kind.values)
        var generator = SplitMix64(seed: 1)
        for (name, range) in try folder.tensors() where !name.hasPrefix("__") && !name.contains("norm") {
            let open = try folder.open()
            let offset = Int.random(in: range, using: &generator)
            let bit = Int.random(in: 0..<8, using: &generator)
            try folder.flip(bit: bit, at: offset)
            let sequence = SingleSequence(open.configuration, open.weights)
            #expect {
                try sequence.run([1, 2, 3])
            } throws: {
                "\($0)".contains("\"\(name)\": expected checksum") && "\($0)".contains(folder.path)
            }
            // And again: a failed check does not count as passed.
            #expect(throws: ModelError.self) { try sequence.run([1]) }
            try folder.flip(bit: bit, at: offset)
            try sequence.run([1, 2, 3])
            #expect(try sequence.logits([2])[0].allSatisfy { $0.isFinite })
        }
    }

    /// Vectors are read at once, so their damage shows at opening.
    @Test func namesNormsThatChangedBeforeOpening() throws {
        let folder = try PackedFolder(TinyModel(), .smallest)
        let norms = try folder.tensors().filter { $0.name.contains("norm") }
        #expect(norms.count == 5)
        for (name, range) in norms {
            try folder.flip(bit: 3, at: range.lowerBound)
            #expect {
                try folder.open()
            } throws: {
                "\($0)".contains("\"\(name)\": expected checksum")
            }
            try folder.flip(bit: 3, at: range.lowerBound)
        }
        _ = try folder.open()
    }

    /// Only the layer with the damage is refused; nothing else was read at opening.
    @Test func readsNothingBeforeItsFirstUse() throws {
        let folder = try PackedFolder(TinyModel(), .smallest)
        for (name, range) in try folder.tensors() where !name.hasPrefix("__") && !name.contains("norm") {
            try folder.flip(bit: 0, at: range.lowerBound)
        }
        _ = try folder.open()
    }

    @Test func refusesWeightsOfAnotherShape() throws {
        var model = TinyModel()
        model.hiddenSize = 72  // no square matrix, whose turning would not show
        for (name, shape) in model.projections.prefix(7) + [("model.embed_tokens.weight", [320, 72])] {
            let folder = ScratchFolder()
            model.reshaped = [name: shape.reversed()]
            try model.write(to: folder.path + "/model")
            #expect {
                try OpenModel(path: folder.path + "/model", type: .f16, folder: folder)
            } throws: {
                "\($0)".hasPrefix("shape of \(name): expected [")
            }
        }
    }

    /// Whether or not the configuration mentions them.
    @Test func refusesBiases() throws {
        for name in TinyModel().projections.map({ $0.name.replacing("weight", with: "bias") }) {
            var model = TinyModel()
            model.added = [(name, [64])]
            let error = ModelError(name, expected: "no such bias by config.json and type llama", found: "one")
            #expect(throws: error) { try OpenModel(model) }
        }
    }

    @Test func refusesMissingWeights() throws {
        var model = TinyModel()
        model.tiesHead = false
        for name in (model.projections + model.others).map(\.name) {
            let folder = ScratchFolder()
            model.omitted = [name]
            try model.write(to: folder.path + "/model")
            #expect {
                try OpenModel(path: folder.path + "/model", type: .f16, folder: folder)
            } throws: {
                "\($0)".hasPrefix("\(name): expected a tensor of that name, found none")
            }
        }
    }
}
