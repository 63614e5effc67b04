import Checkpoints
import ModelFixtures
import Transformer

/// A float32 model whose key-value heads serve three query heads each, on disk and opened.
struct GroupedModel {
    let checkpoint: Checkpoint
    let configuration: ModelConfiguration
    private let scratch = ScratchFolder()

    init() throws {
        var model = TinyModel(type: .f32)
        model.headCount = 6
        model.keyValueHeadCount = 2
        try model.write(to: scratch.path("model"))
        checkpoint = try Checkpoint.open(path: scratch.path("model"))
        configuration = try ModelConfiguration(checkpoint.configuration)
    }
}
