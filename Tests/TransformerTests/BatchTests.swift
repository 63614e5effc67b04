import KernelsUnderTest
import Sparse
import Tensors
import TestSupport
import Testing
import ModelFixtures
import Transformer

/// Several sequences in one batch, as a server runs them: each gets what it would get alone.
@Suite struct BatchTests {
    /// A sequence with its tokens so far and its share of the cache.
    private struct Sequence {
        let tokens: [Int32]
        let blocks: [Int32]
        var position = 0
    }

    private static let blockCount = 24
    /// Tokens each sequence brings to each batch: prompts of all lengths, then steps and chunks of prompts mixed.
    private static let schedule = [
        [5, 33, 17, 1], [1, 1, 1, 1], [0, 1, 20, 1], [30, 0, 1, 15], [1, 1, 0, 16], [1, 1, 1, 1],
    ]

    private static func sequences(_ model: TinyModel, seed: UInt64) -> [Sequence] {
        var generator = SplitMix64(seed: seed)
        var free = (0..<Int32(blockCount)).shuffled(using: &generator)
        return (0..<4).map { index in
            let count = schedule.reduce(0) { $0 + $1[index] }
            let blocks = (count + KeyValueCache.blockTokens - 1) / KeyValueCache.blockTokens
            defer { free.removeFirst(blocks) }
            return Sequence(
                tokens: model.randomTokens(count, seed: seed + UInt64(index)), blocks: Array(free.prefix(blocks)))
        }
    }

    @Test(arguments: [nil, FormatChoice.fixed(.tiledBitmap), .fixed(.tiledCSL), .fixed(.slicedEllpack)], [1, 3])
    func sequencesDoNotDisturbEachOther(choice: FormatChoice?, threads: Int) throws {
        var model = TinyModel()
        model.sparsity = 0.6
        let open = try OpenModel(model, packing: choice)
        let naive = NaiveDecoder(model)
        let seeds: [UInt64] = [1, 100]
        let expected = seeds.map { seed in Self.sequences(model, seed: seed).map { naive.logits($0.tokens) } }
        for kernels in Kernels.underTest {
            let decoder = Decoder(
                configuration: open.configuration,
                backend: CPUBackend(
                    configuration: open.configuration, weights: open.weights,
                    cache: KeyValueCache(
                        configuration: open.configuration, blockCount: Self.blockCount, element: .f32),
                    pool: WorkerPool(threadCount: threads), kernels: kernels, maximumBatchTokens: 64))
            // Twice with other tokens and blocks, so that the cache is full of what others left.
            for (seed, expected) in zip(seeds, expected) {
                var sequences = Self.sequences(model, seed: seed)
                for counts in Self.schedule {
                    let error = try Self.run(counts, &sequences, decoder, expected)
                    #expect(error <= PackedModelTests.tolerance, "\(kernels.instructionSet), \(counts)")
                }
            }
        }
    }

    /// A scheduler's mistake must not end in memory that is not the cache's.
    @Test func refusesBlocksOutsideTheCache() async {
        await #expect(processExitsWith: .failure) { try Self.runOneToken(block: 1) }
        await #expect(processExitsWith: .success) { try Self.runOneToken(block: 0) }
    }

    /// With a cache of one block.
    private static func runOneToken(block: Int32) throws {
        let open = try OpenModel(TinyModel())
        try SingleSequence(open.configuration, open.weights, capacity: 16).run([1], blocks: [block])
    }

    /// Runs one batch; the largest error of any logit after any of its tokens.
    private static func run(
        _ counts: [Int], _ sequences: inout [Sequence], _ decoder: Decoder, _ expected: [[[Double]]]
    ) throws -> Double {
        var batch = Batch()
        var rows: [[Double]] = []
        // Not in the order of the sequences.
        for index in [2, 0, 3, 1] where counts[index] > 0 {
            let sequence = sequences[index]
            let range = sequence.position..<sequence.position + counts[index]
            batch.append(tokens: sequence.tokens[range], firstPosition: range.lowerBound, blocks: sequence.blocks)
            rows += range.map { expected[index][$0] }
            sequences[index].position = range.upperBound
        }
        try decoder.forward(batch)
        var largest = 0.0
        // All places, backwards, as many at once as may be asked for.
        let places = Array((0..<batch.tokens.count).reversed())
        for first in stride(from: 0, to: places.count, by: decoder.maximumLogitsTokens) {
            let some = Array(places[first..<min(first + decoder.maximumLogitsTokens, places.count)])
            let logits = try decoder.logits(ofTokens: some)
            let width = decoder.configuration.vocabularySize
            let found = some.indices.map { Array(logits[$0 * width..<($0 + 1) * width]) }
            let error = largestDifference(found, some.map { rows[$0] })
            if !(error <= largest) { largest = error }
        }
        return largest
    }
}
