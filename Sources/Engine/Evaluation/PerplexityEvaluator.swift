import Synchronization
public import Tensors
public import Transformer

/// Measures how well a model predicts a text.
public struct PerplexityEvaluator {
    private let runner: SequenceRunner
    private let pool: WorkerPool

    /// - Throws: `ModelError` for a model that a GPU cannot run, or if the GPU fails.
    public init(
        _ model: LanguageModel, window: Int, pool: WorkerPool, options: RunnerOptions = .init()
    ) throws(ModelError) {
        self.pool = pool
        runner = try SequenceRunner(model, contextTokens: window, pool: pool, options: options)
    }

    /// The perplexity over `windows` of `tokens`, each window a sequence of its own.
    /// - Parameter progress: called with the number of scored tokens so far.
    /// - Throws: `ModelError` for damaged weights or tokens outside the vocabulary; `LogitsError` for NaN.
    public func evaluate(
        _ tokens: [Int32], windows: EvaluationWindows, progress: (Int) -> Void = { _ in }
    ) throws -> PerplexityAccumulator {
        var accumulator = PerplexityAccumulator()
        var scored = 0
        for window in windows {
            runner.truncate(to: 0)
            var losses: [Double] = []
            try runner.run(tokens[window]) { batch in
                // Every place predicts the token behind it; the window's last one predicts nothing.
                let end = min(batch.upperBound, window.count - 1)
                for first in stride(from: batch.lowerBound, to: end, by: runner.maximumLogitsTokens) {
                    let places = first..<min(first + runner.maximumLogitsTokens, end)
                    losses += try score(places, tokens: tokens, window: window, batchStart: batch.lowerBound)
                    progress(scored + losses.count)
                }
            }
            scored += losses.count
            accumulator.add(window: losses)
        }
        return accumulator
    }

    private func score(
        _ places: Range<Int>, tokens: [Int32], window: Range<Int>, batchStart: Int
    ) throws -> [Double] {
        let logits = try runner.logits(ofBatchPlaces: places.map { $0 - batchStart })
        let vocabulary = runner.configuration.vocabularySize
        let results = Mutex<[Result<Double, LogitsError>]>(Array(repeating: .success(.nan), count: places.count))
        pool.forEachChunk(places.count) { index, _ in
            let row = UnsafeBufferPointer(rebasing: logits[index * vocabulary..<(index + 1) * vocabulary])
            let token = tokens[window.lowerBound + places.lowerBound + index + 1]
            let result: Result<Double, LogitsError>
            do throws(LogitsError) { result = .success(try negativeLogLikelihood(of: token, logits: row)) } catch {
                result = .failure(error)
            }
            results.withLock { $0[index] = result }
        }
        return try results.withLock { $0 }.map { try $0.get() }
    }
}
