import Checkpoints
import Engine
import ModelFixtures
import Tensors
import Testing

@testable import Synthesis

@Suite struct SyntheticModelTests {
    private let scratch = ScratchFolder()

    private func write(
        _ name: String, seed: UInt64 = 1, sparsity: Double = 0, type: WeightType = .f16, threads: Int = 1
    ) throws {
        let shape = try #require(SyntheticShape.all.first { $0.name == "tiny" })
        try SyntheticModel(shape: shape, type: type, sparsity: sparsity, seed: seed).write(
            to: ModelRewriter.Destination(path: scratch.path(name), overwriting: false, companions: { _ in }),
            pool: WorkerPool(threadCount: threads))
    }

    /// Every weight of a tensor as float32.
    private func weights(_ name: String, of model: String) throws -> [Float] {
        let checkpoint = try Checkpoint.open(path: scratch.path(model))
        let count = try #require(checkpoint[name]).elementCount
        let output = AlignedBuffer<Float>(uninitializedCount: count)
        try checkpoint.read(name, as: .f32, into: UnsafeMutableRawBufferPointer(output.elements))
        return Array(output.frozen())
    }

    @Test func writesTheSameBytesOnAnyNumberOfThreads() throws {
        try write("one", seed: 7, sparsity: 0.5)
        try write("three", seed: 7, sparsity: 0.5, threads: 3)
        try write("other", seed: 8, sparsity: 0.5)
        for file in scratch.entries("one") {
            #expect(try scratch.bytes("one/\(file)") == scratch.bytes("three/\(file)"), "\(file)")
        }
        let files = ["config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"]
        #expect(scratch.entries("one") == files)
        #expect(try scratch.bytes("one/model.safetensors") != scratch.bytes("other/model.safetensors"))
    }

    @Test(arguments: [WeightType.f16, .bf16]) func drawsFromANormalDistribution(type: WeightType) throws {
        try write("model", type: type)
        let weights = try weights("model.layers.1.mlp.down_proj.weight", of: "model").map { Double($0) }
        let count = Double(weights.count)
        let deviation = 1 / 172.0.squareRoot()
        let mean = weights.reduce(0, +) / count
        let variance = weights.reduce(0) { $0 + $1 * $1 } / count
        let fourth = weights.reduce(0) { $0 + $1 * $1 * $1 * $1 } / count
        // Four standard errors of 11,008 samples.
        let error = 4 / count.squareRoot()
        #expect(abs(mean) < error * deviation)
        #expect(abs(variance / (deviation * deviation) - 1) < error * 2.0.squareRoot())
        #expect(abs(fourth / (variance * variance) - 3) < error * 24.0.squareRoot())
        // Tensors differ, and so do their parts.
        let others = try self.weights("model.layers.0.mlp.down_proj.weight", of: "model").map { Double($0) }
        #expect(zip(weights, others).count { $0 == $1 } < weights.count / 50)
        let product = zip(weights, weights.dropFirst()).reduce(0) { $0 + $1.0 * $1.1 } / count
        #expect(abs(product) < error * deviation * deviation)
    }

    @Test(arguments: [0.25, 0.5, 0.9]) func zeroesTheSmallestWeights(sparsity: Double) throws {
        try write("dense")
        try write("sparse", sparsity: sparsity)
        let name = "model.layers.0.self_attn.q_proj.weight"
        let (dense, sparse) = (try weights(name, of: "dense"), try weights(name, of: "sparse"))
        let zeros = sparse.count { $0 == 0 }
        let expected = sparsity * Double(sparse.count)
        #expect(abs(Double(zeros) - expected) < 4 * (expected * (1 - sparsity)).squareRoot())
        let kept = zip(dense, sparse).filter { $1 != 0 }
        let cut = zip(dense, sparse).filter { $1 == 0 }
        #expect(kept.allSatisfy { $0 == $1 })
        #expect((cut.map { abs($0.0) }.max() ?? 0) <= (kept.map { abs($0.0) }.min() ?? 0))
        // What pruning leaves alone is as it was.
        for name in ["model.embed_tokens.weight", "model.norm.weight"] {
            #expect(try weights(name, of: "dense") == weights(name, of: "sparse"))
        }
        #expect(try weights("model.norm.weight", of: "sparse").allSatisfy { $0 == 1 })
    }

    @Test func runs() throws {
        try write("model", sparsity: 0.5)
        let pool = WorkerPool(threadCount: 2)
        let model = try LanguageModel.open(path: scratch.path("model"), pool: pool)
        let prompt = model.tokens(continuing: "Hello, world: 42 and \u{1F600}!")
        #expect(model.tokenizer.decode(prompt.map { Int($0) }) == "Hello, world: 42 and \u{1F600}!")
        let generator = try Generator(model, contextTokens: 64, pool: pool)
        let generation = try generator.generate(
            prompt: prompt, options: GenerationOptions(maximumTokens: 16, ignoresEnd: true), onText: { _ in })
        #expect(generation.tokens.count == 16 && !generation.text.isEmpty)
    }

    @Test func hasTheSizesThatTheNamesSay() throws {
        for shape in SyntheticShape.all where shape.name != "tiny" {
            let unit = shape.name.hasSuffix("b") ? 1e9 : 1e6
            let named = try #require(Double(shape.name.dropLast())) * unit
            let model = try SyntheticModel(shape: shape, type: .f16, sparsity: 0, seed: 1)
            // Names are rounded: 3b is 3.2 billion, 7b 6.7.
            #expect(abs(Double(model.parameterCount) / named - 1) < 0.08, "\(shape.name): \(model.parameterCount)")
        }
    }

    @Test func leavesNothingBehindWhereTheDiskIsFull() throws {
        let folder = try FolderWriter(path: scratch.path("model"))
        #expect(throws: CheckpointError.self) { try folder.requireSpace(byteCount: .max) }
        try folder.requireSpace(byteCount: 1)
        folder.abandon()
        #expect(scratch.entries().isEmpty)
    }
}
