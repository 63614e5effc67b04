import Checkpoints
import Sparse
import Tensors
import TestSupport
import ModelFixtures
import Transformer

/// A model on disk, opened.
struct OpenModel {
    let folder: ScratchFolder
    let configuration: ModelConfiguration
    let weights: DecoderWeights

    /// Writes `model` and opens it, packed unless `packing` is nil.
    init(
        _ model: TinyModel, packing: FormatChoice? = nil, values: ValueChoice = .exact,
        tableValues: ValueChoice = .exact, type: WeightType? = nil
    ) throws {
        let folder = ScratchFolder()
        var path = folder.path + "/model"
        try model.write(to: path)
        if let packing {
            let source = path
            path = folder.path + "/packed"
            try Self.pack(model, at: source, to: path, packing, values: values, tableValues: tableValues)
        }
        try self.init(path: path, type: type ?? model.type, folder: folder)
    }

    /// Packs the model that was written at `source`.
    static func pack(
        _ model: TinyModel, at source: String, to path: String, _ choice: FormatChoice, values: ValueChoice = .exact,
        tableValues: ValueChoice = .exact
    ) throws {
        let tables = ["model.embed_tokens.weight"] + (model.tiesHead ? [] : ["lm_head.weight"])
        let packer = ModelPacker(
            try Checkpoint.open(path: source), matrices: model.projections.map(\.name), tables: tables,
            pool: WorkerPool(threadCount: 2))
        let destination = ModelRewriter.Destination(path: path, overwriting: false, companions: { _ in })
        let reports = try packer.pack(to: destination, choice: choice, values: values, tableValues: tableValues)
        precondition(reports.count == 7 * model.layerCount + (tableValues == .exact ? 0 : tables.count))
    }

    init(path: String, type: WeightType, folder: ScratchFolder, loadPacking: LoadPacking? = nil) throws {
        let checkpoint = try Checkpoint.open(path: path)
        self.folder = folder
        configuration = try ModelConfiguration(checkpoint.configuration)
        weights = try DecoderWeights(
            checkpoint, configuration: configuration, type: type, packing: loadPacking,
            pool: WorkerPool(threadCount: 2))
    }

    /// Logits after every token: the first `promptTokens` in one batch, the others one by one.
    func logits(
        _ tokens: [Int32], promptTokens: Int, cache: ElementType = .f32, kernels: Kernels = .best, threads: Int = 2
    ) throws -> [[Float]] {
        let sequence = SingleSequence(configuration, weights, cache: cache, kernels: kernels, threads: threads)
        try sequence.run(Array(tokens[..<promptTokens]))
        var logits = try sequence.logits(Array(0..<promptTokens))
        for token in tokens[promptTokens...] {
            try sequence.run([token])
            logits += try sequence.logits([0])
        }
        return logits
    }
}

extension TinyModel {
    func randomTokens(_ count: Int, seed: UInt64) -> [Int32] {
        var generator = SplitMix64(seed: seed)
        return (0..<count).map { _ in Int32.random(in: 0..<Int32(TinyTokenizer.vocabularySize), using: &generator) }
    }
}

/// The largest difference, NaN if any element is NaN or the shapes differ.
func largestDifference(_ found: [[Float]], _ expected: [[Double]]) -> Double {
    guard found.count == expected.count else { return .nan }
    var largest = 0.0
    for (row, expectedRow) in zip(found, expected) {
        guard row.count == expectedRow.count else { return .nan }
        for (x, y) in zip(row, expectedRow) where !(abs(Double(x) - y) <= largest) { largest = abs(Double(x) - y) }
    }
    return largest
}
