public import Tensors
public import Transformer

/// One model on one number of threads, ready to be timed step by step.
///
/// Several of these are timed in turns, so that a change of the machine's speed meets all of them.
public final class ModelBenchmark {
    public let model: LanguageModel
    public let pool: WorkerPool
    private let decoder: Decoder
    /// nil on a GPU.
    private let cache: KeyValueCache?
    private let blocksPerSequence: Int
    private let contextTokens: Int
    private var batch = Batch()

    /// - Parameters:
    ///   - sequences: the largest batch that will be decoded.
    ///   - contextTokens: the longest sequence.
    ///   - other: a benchmark of the same model and sizes on a CPU, whose cache is used, too: long contexts take much
    ///     memory, and what the cache holds makes no difference to the time.
    /// - Throws: `ModelError` for a model that a GPU cannot run, or if the GPU fails.
    public init(
        _ model: LanguageModel, sequences: Int, contextTokens: Int, pool: WorkerPool, options: RunnerOptions = .init(),
        sharingCacheOf other: ModelBenchmark? = nil
    ) throws(ModelError) {
        self.model = model
        self.pool = pool
        self.contextTokens = contextTokens
        blocksPerSequence = (contextTokens + KeyValueCache.blockTokens - 1) / KeyValueCache.blockTokens
        let blockCount = blocksPerSequence * sequences
        if case .cuda(let library) = options.device {
            let backend = try options.cudaBackend(
                for: model, library, blockCount: blockCount, pool: pool, maximumLogitsTokens: max(16, sequences))
            try backend.clearCache()
            cache = nil
            weightBytesPerStep = backend.weightBytesPerStep
            decoder = Decoder(configuration: model.configuration, backend: backend)
            return
        }
        let cache =
            other?.cache ?? Self.cache(model.configuration, blockCount: blockCount, element: options.cacheElement)
        precondition(cache.blockCount >= blockCount && cache.element == options.cacheElement)
        self.cache = cache
        weightBytesPerStep = model.weights.byteCountPerStep
        decoder = Decoder(
            configuration: model.configuration,
            backend: CPUBackend(
                configuration: model.configuration, weights: model.weights, cache: cache, pool: pool,
                kernels: options.kernels, maximumBatchTokens: max(options.maximumBatchTokens, sequences),
                maximumLogitsTokens: max(16, sequences)))
    }

    /// A cache whose memory is there before anything is timed.
    private static func cache(
        _ configuration: ModelConfiguration, blockCount: Int, element: ElementType
    ) -> KeyValueCache {
        let cache = KeyValueCache(configuration: configuration, blockCount: blockCount, element: element)
        cache.clear()
        return cache
    }

    /// Weight bytes that one decoding step reads, however many sequences share it.
    public let weightBytesPerStep: Int

    /// Seconds of one decoding step of `sequences` sequences, each at position `position`, logits and all.
    public func decodeStep(sequences: Int, position: Int) throws -> Double {
        precondition(position >= 0 && position < contextTokens)
        batch.removeAll()
        for sequence in 0..<sequences {
            batch.append(tokens: [token(sequence + position)], firstPosition: position, blocks: blocks(of: sequence))
        }
        return try seconds {
            try decoder.forward(batch)
            _ = try decoder.logits(ofTokens: Array(0..<sequences))
        }
    }

    /// Seconds of a prompt of `tokens` tokens from an empty cache to the first logits.
    public func prompt(tokens: Int) throws -> Double {
        precondition(tokens >= 1 && tokens <= contextTokens)
        return try seconds {
            for first in stride(from: 0, to: tokens, by: decoder.maximumBatchTokens) {
                batch.removeAll()
                let end = min(first + decoder.maximumBatchTokens, tokens)
                batch.append(tokens: (first..<end).map(token), firstPosition: first, blocks: blocks(of: 0))
                try decoder.forward(batch)
            }
            _ = try decoder.logits(ofTokens: [batch.tokens.count - 1])
        }
    }

    private func blocks(of sequence: Int) -> Range<Int32> {
        Int32(sequence * blocksPerSequence)..<Int32((sequence + 1) * blocksPerSequence)
    }

    /// Some token; which one makes no difference to the time.
    private func token(_ index: Int) -> Int32 { Int32((index * 7919 + 13) % model.configuration.vocabularySize) }

    private func seconds(_ body: () throws -> Void) rethrows -> Double {
        let clock = ContinuousClock()
        let start = clock.now
        try body()
        return (clock.now - start) / .seconds(1)
    }
}
