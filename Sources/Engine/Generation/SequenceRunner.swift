import Scheduling
public import Tensors
public import Transformer

/// One sequence at a time on a decoder of its own: its tokens, its cache blocks, its batches.
///
/// Keeps the cache of what it has run, so that a text which continues the last one costs only its new tokens.
public final class SequenceRunner {
    public let configuration: ModelConfiguration
    /// Tokens that fit the cache.
    public let contextTokens: Int
    private let decoder: Decoder
    private var pool: BlockPool
    private var blocks: SequenceBlocks
    private var batch = Batch()
    /// The one place that ``lastLogits()`` asks for; kept, so that asking allocates nothing.
    private var lastPlace = [0]
    /// The tokens whose keys and values the cache holds.
    public private(set) var tokens: [Int32] = []
    /// Whether these were computed as the beginning of a long sequence: see ``RotaryParameters/isLong(_:)``.
    private var isLong = false

    /// - Parameters:
    ///   - contextTokens: cache size; on a CPU memory is only used as it fills.
    ///   - options: device, instruction set, cache type.
    /// - Throws: `ModelError` for a model that a GPU cannot run, or if the GPU fails.
    public init(
        _ model: LanguageModel, contextTokens: Int, pool workers: WorkerPool, options: RunnerOptions = .init()
    ) throws(ModelError) {
        precondition(contextTokens >= 1)
        configuration = model.configuration
        let blockTokens = KeyValueCache.blockTokens
        let blockCount = (contextTokens + blockTokens - 1) / blockTokens
        self.contextTokens = contextTokens
        decoder = Decoder(
            configuration: configuration,
            backend: try options.backend(for: model, blockCount: blockCount, pool: workers))
        pool = BlockPool(blockCount: blockCount, tokensPerBlock: blockTokens)
        blocks = SequenceBlocks(pool: pool)
    }

    /// Bytes of the cache blocks in use.
    public var cacheByteCount: Int { blocks.blocks.count * decoder.cacheBytesPerBlock }

    public var maximumLogitsTokens: Int { decoder.maximumLogitsTokens }
    public var maximumBatchTokens: Int { decoder.maximumBatchTokens }

    /// Forgets all tokens behind the first `count`.
    public func truncate(to count: Int) {
        tokens.removeLast(max(tokens.count - count, 0))
        blocks.truncate(toTokens: tokens.count, in: &pool)
    }

    /// How many of `prompt`'s first tokens the cache holds already; at least the last one is left to run.
    public func reusableTokens(of prompt: [Int32]) -> Int {
        if isLong != rotatesLong(prompt.count) { return 0 }
        let common = zip(tokens, prompt).prefix { $0 == $1 }.count
        return min(common, prompt.count - 1)
    }

    private func rotatesLong(_ count: Int) -> Bool { configuration.rotary?.isLong(count) ?? false }

    /// Runs tokens behind those already there, in batches; the logits of the last batch can then be asked for.
    ///
    /// Where the sequence thereby becomes a long one, or is none any more, those already there are run once more.
    /// - Parameter afterBatch: called with the places of each batch among `newTokens`, while its logits can be had.
    /// - Throws: `ModelError`; `SchedulingError` if the cache is full.
    public func run(_ newTokens: ArraySlice<Int32>, afterBatch: (Range<Int>) throws -> Void = { _ in }) throws {
        let length = tokens.count + newTokens.count
        if isLong != rotatesLong(length) {
            let before = tokens
            truncate(to: 0)
            isLong.toggle()
            try runBatches(before[...], ofSequence: length)
        }
        try runBatches(newTokens, ofSequence: length, afterBatch: afterBatch)
    }

    private func runBatches(
        _ newTokens: ArraySlice<Int32>, ofSequence length: Int, afterBatch: (Range<Int>) throws -> Void = { _ in }
    ) throws {
        var first = newTokens.startIndex
        while first < newTokens.endIndex {
            let end = min(first + decoder.maximumBatchTokens, newTokens.endIndex)
            try blocks.reserve(tokenCount: tokens.count + end - first, from: &pool)
            batch.removeAll()
            batch.append(
                tokens: newTokens[first..<end], firstPosition: tokens.count, ofSequence: length, blocks: blocks.blocks)
            try decoder.forward(batch)
            tokens.append(contentsOf: newTokens[first..<end])
            try afterBatch(first - newTokens.startIndex..<end - newTokens.startIndex)
            first = end
        }
    }

    /// Logits after the last token.
    /// - Throws: `ModelError` if the device fails.
    public func lastLogits() throws(ModelError) -> UnsafeBufferPointer<Float> {
        lastPlace[0] = batch.tokens.count - 1
        return try decoder.logits(ofTokens: lastPlace)
    }

    /// The token of the largest logit after the last token; nil if ``lastLogits()`` is to be looked at.
    /// - Throws: `ModelError` if the device fails.
    public func greedyToken() throws(ModelError) -> Int32? {
        try decoder.greedyToken(after: batch.tokens.count - 1)
    }

    /// Logits after the given places of the last batch, one row of `vocabularySize` each.
    /// - Throws: `ModelError` if the device fails.
    public func logits(ofBatchPlaces places: [Int]) throws(ModelError) -> UnsafeBufferPointer<Float> {
        try decoder.logits(ofTokens: places)
    }
}
