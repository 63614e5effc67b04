import Checkpoints
import KernelsUnderTest
import ModelFixtures
import Sparse
import Tensors
import Testing

@testable import Transformer

/// Models that are packed while they are opened.
@Suite struct LoadPackingTests {
    /// A machine where one format is the fastest.
    static func costs(fastest format: PackedFormat) throws -> CostModel {
        CostModel(
            profile: try MachineProfile(
                machine: .init(processor: "Abacus 9", instructionSet: "beads", threads: 2), bytesPerSecond: 1e15,
                kernels: ProductKind.all.map { kind in
                    try KernelSpeed(
                        kind: kind, densities: [1], tokens: [1],
                        weightsPerSecond: [[kind.format == format ? 2e9 : 1e9]])
                }))
    }

    private func open(
        _ model: TinyModel, _ packing: LoadPacking, type: WeightType? = nil
    ) throws -> OpenModel {
        let folder = ScratchFolder()
        try model.write(to: folder.path("model"))
        return try OpenModel(path: folder.path("model"), type: type ?? .f16, folder: folder, loadPacking: packing)
    }

    private func pruned(fastest format: PackedFormat = .tiledBitmap) -> LoadPacking {
        LoadPacking(values: .exact, minimumSparsity: LoadPacking.prunedSparsity) {
            .fastest(try Self.costs(fastest: format))
        }
    }

    @Test(arguments: [WeightType.f16, .bf16], PackedFormat.allCases)
    func agreesWithDoublePrecision(type: WeightType, format: PackedFormat) throws {
        let model = TinyModel(type: type, sparsity: 0.6)
        let tokens = model.randomTokens(30, seed: 3)
        let expected = NaiveDecoder(model).logits(tokens)
        let open = try open(model, pruned(fastest: format))
        let packed = open.weights.packedAtLoad
        #expect(packed.matrixCount == (format == .dense ? 0 : 14))
        for layer in open.weights.layers { #expect(layer.matrices.allSatisfy { $0.format == format }) }
        for kernels in Kernels.underTest {
            let found = try open.logits(tokens, promptTokens: 20, kernels: kernels)
            #expect(largestDifference(found, expected) <= PackedModelTests.tolerance, "\(kernels.instructionSet)")
        }
    }

    /// What is packed at loading is what `pack` writes.
    @Test(arguments: [ValueChoice.exact] + QuantizedCoding.allCases.map { .quantized($0, .columns128) })
    func equalsAPackedFolder(values: ValueChoice) throws {
        let model = TinyModel(type: .f16, sparsity: 0.5)
        let packing = LoadPacking(values: values, minimumSparsity: 0) {
            .fastest(try Self.costs(fastest: .tiledBitmap))
        }
        let opened = try open(model, packing)
        let folder = try OpenModel(model, packing: .fixed(.tiledBitmap), values: values)
        let tokens = model.randomTokens(20, seed: 4)
        #expect(try opened.logits(tokens, promptTokens: 15) == folder.logits(tokens, promptTokens: 15))
        #expect(opened.weights.byteCount == folder.weights.byteCount)
        let packed = opened.weights.packedAtLoad
        #expect(packed.matrixCount == 14 && packed.byteCount < packed.denseByteCount)
        let elements = model.projections.reduce(0) { $0 + $1.shape.reduce(1, *) }
        #expect(packed.denseByteCount == 2 * elements)
    }

    /// With eight bits everywhere but in the embedding table nothing is measured, and answers are nearly the same.
    @Test(arguments: [true, false]) func roundsTheHead(isTied: Bool) throws {
        var model = TinyModel(type: .f16)
        model.tiesHead = isTied
        let open = try open(model, .eightBits)
        func isRounded(_ matrix: PackedMatrix) -> Bool { if case .quantized = matrix { true } else { false } }
        #expect(open.weights.packedAtLoad.matrixCount == 15)
        #expect(isRounded(open.weights.head) && !isRounded(open.weights.embedding))
        #expect(open.weights.layers.allSatisfy { $0.matrices.allSatisfy(isRounded) })
        let tokens = model.randomTokens(20, seed: 5)
        let expected = NaiveDecoder(model).logits(tokens)
        let largest = expected.joined().reduce(0) { max($0, abs($1)) }
        let difference = largestDifference(try open.logits(tokens, promptTokens: 15), expected)
        #expect(difference > 0 && difference < 0.05 * largest)
    }

    /// Nothing is measured for a model that was not pruned, and its weights stay in the mapped file.
    @Test(arguments: [0, 0.2]) func leavesDenseModelsAlone(sparsity: Double) throws {
        let packing = LoadPacking(values: .exact, minimumSparsity: LoadPacking.prunedSparsity) {
            Issue.record("a machine was measured for nothing")
            return .fastest(try Self.costs(fastest: .tiledBitmap))
        }
        let open = try open(TinyModel(type: .f16, sparsity: sparsity), packing)
        #expect(open.weights.packedAtLoad == PackedAtLoad())
        #expect(open.weights.layers.allSatisfy { $0.matrices.allSatisfy { $0.format == .dense } })
    }

    /// The costs are asked for once.
    @Test func measuresOnce() throws {
        var count = 0
        let packing = LoadPacking(values: .exact, minimumSparsity: 0.3) {
            count += 1
            return .fastest(try Self.costs(fastest: .tiledBitmap))
        }
        #expect(try open(TinyModel(type: .bf16, sparsity: 0.7), packing).weights.packedAtLoad.matrixCount == 14)
        #expect(count == 1)
    }

    @Test func keepsFloat32Weights() throws {
        let open = try open(TinyModel(type: .f32, sparsity: 0.7), pruned(), type: .f32)
        #expect(open.weights.packedAtLoad.matrixCount == 0)
        let integers = LoadPacking(values: .quantized(.i8, .columns128), minimumSparsity: 0) {
            .fastest(try Self.costs(fastest: .dense))
        }
        #expect(try self.open(TinyModel(type: .f32), integers, type: .f32).weights.packedAtLoad.matrixCount == 14)
    }

    @Test func namesABrokenMatrix() throws {
        var model = TinyModel(type: .f16, sparsity: 0.7)
        model.planted = ["model.layers.1.mlp.up_proj.weight": (70, .infinity)]
        #expect { try open(model, pruned()) } throws: {
            ($0 as? CheckpointError)?.kind == .notFinite && "\($0)".contains("model.layers.1.mlp.up_proj.weight")
        }
    }

    @Test func leavesPackedModelsAsTheyAre() throws {
        let folder = try OpenModel(TinyModel(type: .f16, sparsity: 0.7), packing: .fixed(.tiledCSL))
        let path = folder.folder.path("packed")
        let open = try OpenModel(path: path, type: .f16, folder: folder.folder, loadPacking: pruned())
        #expect(open.weights.layers[0].query.format == .tiledCSL && open.weights.packedAtLoad.matrixCount == 0)
        let integers = LoadPacking(values: .quantized(.i8, .row), minimumSparsity: 0) {
            .fastest(try Self.costs(fastest: .dense))
        }
        #expect(throws: ModelError.self) {
            try OpenModel(path: path, type: .f16, folder: folder.folder, loadPacking: integers)
        }
    }
}
