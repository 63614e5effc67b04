import Checkpoints
import Foundation
import KernelsUnderTest
import OrderedJSON
import Sparse
import Tensors
import TestSupport
import Testing
import Transformer

/// What transformers computed in float32 on the dequantised weights of SmolLM2-135M-Instruct Q4_1.
struct ReferencePrompt {
    let name: String
    let ids: [Int32]
    let top10: [(id: Int, logit: Double)]
    let negativeLogLikelihoods: [Double]
    let greedy: [Int]

    static let all: [ReferencePrompt] = {
        let url = URL(filePath: #filePath).deletingLastPathComponent()
            .appending(path: "Fixtures/smollm2-135m-q4_1.json")
        let json = try! JSON(parsing: [UInt8](Data(contentsOf: url)))
        return json["prompts"]!.arrayValue!.map { prompt in
            func numbers(_ key: String) -> [Double] { prompt[key]!.arrayValue!.map { $0.doubleValue! } }
            return ReferencePrompt(
                name: prompt["name"]!.stringValue!, ids: numbers("input_ids").map { Int32($0) },
                top10: zip(numbers("last_top10_ids").map { Int($0) }, numbers("last_top10_logits")).map { ($0, $1) },
                negativeLogLikelihoods: numbers("prompt_token_nll"), greedy: numbers("greedy_ids").map { Int($0) })
        }
    }()
}

/// A decoder with one sequence that owns all blocks.
final class SingleSequence {
    let configuration: ModelConfiguration
    let decoder: Decoder
    private let blocks: [Int32]
    private var batch = Batch()
    private(set) var position = 0
    private var tokens: [Int32] = []
    private var length = 0

    init(
        _ configuration: ModelConfiguration, _ weights: DecoderWeights, cache element: ElementType = .f32,
        kernels: Kernels = .best, threads: Int = 2, capacity: Int = 512
    ) {
        self.configuration = configuration
        let count = capacity / KeyValueCache.blockTokens
        // Backwards, so that a mixed-up block table shows.
        blocks = (0..<Int32(count)).reversed()
        decoder = Decoder(
            configuration: configuration,
            backend: CPUBackend(
                configuration: configuration, weights: weights,
                cache: KeyValueCache(configuration: configuration, blockCount: count, element: element),
                pool: WorkerPool(threadCount: threads), kernels: kernels, maximumBatchTokens: 256))
    }

    /// - Parameter length: tokens of the whole sequence; nil if these are its last. If it turns out to be longer than
    ///   was said before, and that matters, all its tokens are run once more.
    func run(_ tokens: [Int32], ofSequence length: Int? = nil, blocks: [Int32]? = nil) throws {
        let length = length ?? position + tokens.count
        let isLong = configuration.rotary?.isLong(length) ?? false
        if position > 0, isLong, configuration.rotary?.isLong(self.length) == false {
            position = 0
            try append(self.tokens, ofSequence: length, blocks: blocks)
        }
        self.length = length
        try append(tokens, ofSequence: length, blocks: blocks)
        self.tokens += tokens
    }

    private func append(_ tokens: [Int32], ofSequence length: Int, blocks: [Int32]?) throws {
        batch.removeAll()
        batch.append(
            tokens: tokens, firstPosition: position, ofSequence: length, blocks: blocks ?? self.blocks)
        try decoder.forward(batch)
        position += tokens.count
    }

    /// Logits after the given places of the last run.
    func logits(_ places: [Int]) throws -> [[Float]] {
        try places.map { Array(try decoder.logits(ofTokens: [$0])) }
    }
}

@Suite(.enabled(if: TestModel.isAvailable, Comment(rawValue: TestModel.reason)), .serialized)
struct ReferenceTests {
    static let checkpoint = Result { try Checkpoint.open(path: TestModel.path!) }
    static let pool = WorkerPool(threadCount: 2)

    static func weights(_ type: WeightType) throws -> (ModelConfiguration, DecoderWeights) {
        let checkpoint = try checkpoint.get()
        let configuration = try ModelConfiguration(checkpoint.configuration)
        return (
            configuration, try DecoderWeights(checkpoint, configuration: configuration, type: type, pool: pool)
        )
    }

    @Test(arguments: [(WeightType.f32, 2e-3), (.f16, 2e-2)])
    func matchesTransformers(type: WeightType, tolerance: Double) throws {
        let (configuration, weights) = try Self.weights(type)
        for prompt in ReferencePrompt.all {
            let sequence = SingleSequence(configuration, weights, cache: type == .f32 ? .f32 : .f16)
            try sequence.run(prompt.ids)
            let logits = try sequence.logits([prompt.ids.count - 1])[0]
            let order = logits.indices.sorted { logits[$0] > logits[$1] }.prefix(10)
            #expect(Array(order) == prompt.top10.map(\.id), "\(prompt.name)")
            for (id, expected) in prompt.top10 {
                let error = abs(Double(logits[id]) - expected)
                #expect(error <= tolerance, "\(prompt.name), token \(id)")
            }
            var token = Int(order[0])
            var greedy = [token]
            while greedy.count < prompt.greedy.count {
                try sequence.run([Int32(token)])
                let next = try sequence.logits([0])[0]
                token = next.indices.max { next[$0] < next[$1] }!
                greedy.append(token)
            }
            #expect(greedy == prompt.greedy, "\(prompt.name)")
        }
    }

    /// However a prompt is cut into batches, and whatever else runs in them, its logits stay the same.
    @Test func doesNotDependOnTheCutOfAPrompt() throws {
        let (configuration, weights) = try Self.weights(.f16)
        let prompt = ReferencePrompt.all[1]
        let whole = SingleSequence(configuration, weights)
        try whole.run(prompt.ids)
        let expected = try whole.logits([prompt.ids.count - 1])[0]
        let cut = SingleSequence(configuration, weights)
        var rest = prompt.ids[...]
        for size in [1, 2, 7, 16, 17, 33, 64, 100] {
            let piece = Array(rest.prefix(size))
            if piece.isEmpty { break }
            rest = rest.dropFirst(size)
            try cut.run(piece)
            if rest.isEmpty {
                let found = try cut.logits([piece.count - 1])[0]
                let error = zip(found, expected).map { abs($0 - $1) }.max()!
                #expect(error <= 2e-3)
            }
        }
        #expect(rest.isEmpty)
    }

    @Test func giveTheSameTextOnEveryInstructionSet() throws {
        let (configuration, weights) = try Self.weights(.f16)
        let prompt = ReferencePrompt.all[0]
        for kernels in Kernels.underTest {
            let sequence = SingleSequence(configuration, weights, kernels: kernels)
            try sequence.run(prompt.ids)
            let logits = try sequence.logits([prompt.ids.count - 1])[0]
            for (id, expected) in prompt.top10 {
                let error = abs(Double(logits[id]) - expected)
                #expect(error <= 2e-2, "\(kernels.instructionSet)")
            }
        }
    }
}
