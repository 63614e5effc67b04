import Checkpoints
import Engine
import Tensors
import TestSupport
import ModelFixtures
import Transformer

/// A tiny model on disk, opened, and what its greedy text must be.
struct OpenModel {
    let folder: ScratchFolder
    let model: LanguageModel
    /// Its own: tests run side by side, and a pool serves one at a time.
    let pool = WorkerPool(threadCount: 2)

    /// A model that answers in printable ASCII.
    static var talkative: TinyModel {
        var model = TinyModel()
        model.tiesHead = false
        model.likelyTokens = Set(32...126)
        return model
    }

    init(_ model: TinyModel = Self.talkative) throws {
        folder = ScratchFolder()
        try model.write(to: folder.path + "/model")
        self.model = try LanguageModel.open(path: folder.path + "/model", pool: pool)
    }

    func generator(contextTokens: Int = 128, options: RunnerOptions = RunnerOptions()) throws -> Generator {
        try Generator(model, contextTokens: contextTokens, pool: pool, options: options)
    }

    /// The tokens of the largest logits, one forward pass from scratch for each.
    func greedyTokens(after prompt: [Int32], count: Int) throws -> [Int32] {
        let runner = try SequenceRunner(model, contextTokens: 256, pool: pool)
        var tokens = prompt
        for _ in 0..<count {
            runner.truncate(to: 0)
            try runner.run(tokens[...])
            let logits = try runner.lastLogits()
            tokens.append(Int32(logits.indices.max { logits[$0] < logits[$1] }!))
        }
        return Array(tokens[prompt.count...])
    }

    /// The whole text of a generation; checks that its pieces are the text.
    func generate(
        _ prompt: [Int32], _ options: GenerationOptions, generator: Generator? = nil
    ) throws -> (Generation, pieces: [String]) {
        var pieces: [String] = []
        let result = try (generator ?? self.generator()).generate(prompt: prompt, options: options) {
            pieces.append($0)
        }
        precondition(pieces.joined() == result.text && result.promptTokens == prompt)
        return (result, pieces)
    }
}
