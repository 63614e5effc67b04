import Checkpoints
import ModelFixtures
import Testing

@testable import Transformer

@Suite struct DecoderLayoutTests {
    private let scratch = ScratchFolder()

    private func layout(_ model: TinyModel) throws -> DecoderLayout {
        DecoderLayout(try ModelConfiguration(model.configuration))
    }

    @Test(arguments: [true, false]) func listsEveryTensor(tiesHead: Bool) throws {
        var model = TinyModel()
        model.tiesHead = tiesHead
        model.layerCount = 3
        let layout = try layout(model)
        #expect(layout.projections.map(\.name) == model.projections.map(\.name))
        #expect(layout.projections.map { [$0.rows, $0.columns] } == model.projections.map(\.shape))
        #expect(layout.projections.map(\.layer) == (0..<21).map { $0 / 7 })
        #expect(layout.projections[7].module == "self_attn.q_proj")
        let expected = Dictionary(uniqueKeysWithValues: model.others.map { ($0.name, $0.shape) })
        #expect(Dictionary(uniqueKeysWithValues: layout.others.map { ($0.name, $0.shape) }) == expected)
        let parameters = (model.projections + model.others).reduce(0) { $0 + $1.shape.reduce(1, *) }
        #expect(layout.parameterCount == parameters)
    }

    @Test func holdsACheckpointAgainstItself() throws {
        var model = TinyModel()
        try model.write(to: scratch.path("whole"))
        try layout(model).check(Checkpoint.open(path: scratch.path("whole")), packed: nil)
        let name = "model.layers.1.self_attn.k_proj.weight"
        model.omitted = [name]
        try model.write(to: scratch.path("missing"))
        let missing = #expect(throws: CheckpointError.self) {
            try layout(model).check(Checkpoint.open(path: scratch.path("missing")), packed: nil)
        }
        #expect(missing?.kind == .missing)
        #expect(missing?.subject.contains(name) == true)
        model.omitted = []
        model.reshaped = [name: [64, 32]]
        try model.write(to: scratch.path("wrong"))
        let wrong = #expect(throws: CheckpointError.self) {
            try layout(model).check(Checkpoint.open(path: scratch.path("wrong")), packed: nil)
        }
        #expect(wrong?.found == "[64, 32]")
    }
}
