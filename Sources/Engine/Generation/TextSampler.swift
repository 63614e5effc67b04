import Synchronization
public import Tensors
import Transformer

/// Lets a model write texts out of nothing, many at a time: what it was trained on, as far as it remembers. Stands in
/// for a data set where there is none.
///
/// Each text begins behind the beginning-of-text token (or the end-of-text token) and goes on for a number of tokens,
/// also behind an end of text, where the next one begins. Each draws from a generator of its own, by its number and the
/// seed.
public final class TextSampler {
    private let model: LanguageModel
    private let pool: WorkerPool
    private let length: Int
    private let decoder: Decoder
    private let blocksPerText: Int

    /// - Parameters:
    ///   - length: tokens of each text.
    public init(_ model: LanguageModel, length: Int, pool: WorkerPool) {
        precondition(length >= 1 && length <= model.configuration.maximumContext)
        self.model = model
        self.pool = pool
        self.length = length
        blocksPerText = (length + KeyValueCache.blockTokens - 1) / KeyValueCache.blockTokens
        let cache = KeyValueCache(
            configuration: model.configuration, blockCount: blocksPerText * Self.batch, element: .f16)
        decoder = Decoder(
            configuration: model.configuration,
            backend: CPUBackend(
                configuration: model.configuration, weights: model.weights, cache: cache, pool: pool, kernels: .best,
                maximumBatchTokens: Self.batch, maximumLogitsTokens: Self.batch))
    }

    /// Texts that are written at a time; their number decides on the last bits of their probabilities.
    public static let batch = 32

    /// As many texts as must be written together to have `count`.
    public static func wholeBatches(_ count: Int) -> Int { (count + Self.batch - 1) / Self.batch * Self.batch }

    /// Writes some of all texts that there are of a seed; whole batches of them are the same whenever they are written.
    /// - Parameter progress: called with the number of tokens written and of all.
    /// - Throws: `EngineError` if the model has no token to begin with; `ModelError`, `LogitsError`.
    public func sample(
        _ numbers: Range<Int>, temperature: Double = 1, seed: UInt64, progress: (Int, Int) -> Void = { _, _ in }
    ) throws -> [[Int32]] {
        let roles = model.tokenizer.definition.roles
        guard let first = roles.beginningOfText ?? roles.endOfText else { throw EngineError.noBeginning }
        var texts: [[Int32]] = []
        for start in stride(from: numbers.lowerBound, to: numbers.upperBound, by: Self.batch) {
            let batch = start..<min(start + Self.batch, numbers.upperBound)
            texts += try sample(batch, first: Int32(first), temperature: temperature, seed: seed) {
                progress((start - numbers.lowerBound) * length + $0, numbers.count * length)
            }
        }
        return texts
    }

    private func sample(
        _ numbers: Range<Int>, first: Int32, temperature: Double, seed: UInt64, progress: (Int) -> Void
    ) throws -> [[Int32]] {
        let vocabulary = model.configuration.vocabularySize
        let samplers = try Mutex(
            numbers.map { number in
                Sampler(
                    parameters: try SamplingParameters(
                        temperature: temperature, seed: seed &* 0x9E37_79B9_7F4A_7C15 &+ UInt64(number)),
                    vocabularySize: vocabulary)
            })
        var texts = numbers.map { _ in [first] }
        var batch = Batch()
        for position in 0..<length {
            batch.removeAll()
            for index in texts.indices {
                let blocks = Int32(index * blocksPerText)..<Int32((index + 1) * blocksPerText)
                batch.append(
                    tokens: [texts[index][position]], firstPosition: position, ofSequence: length, blocks: blocks)
            }
            try decoder.forward(batch)
            let logits = try decoder.logits(ofTokens: Array(texts.indices))
            let drawn = Mutex<[Result<Int32, LogitsError>]>(Array(repeating: .success(0), count: texts.count))
            pool.forEachChunk(texts.count) { index, _ in
                var sampler = samplers.withLock { $0[index] }
                let row = UnsafeBufferPointer(rebasing: logits[index * vocabulary..<(index + 1) * vocabulary])
                let result: Result<Int32, LogitsError>
                do throws(LogitsError) { result = .success(try sampler.sample(logits: row)) } catch {
                    result = .failure(error)
                }
                samplers.withLock { $0[index] = sampler }
                drawn.withLock { $0[index] = result }
            }
            for (index, token) in drawn.withLock({ $0 }).enumerated() { texts[index].append(try token.get()) }
            progress((position + 1) * texts.count)
        }
        return texts.map { Array($0.dropFirst()) }
    }
}
