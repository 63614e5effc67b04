/// A step that treats every token by itself. A value, as ``ChunkedLoop`` is, so that running it allocates nothing.
public protocol TokenStep {
    func run(token: Int)
}

extension WorkerPool {
    /// Floats of a step that one thread has done before the others have heard of it: about a microsecond.
    private static var serialElements: Int { 8192 }

    /// Runs a step for tokens 0..<count; on this thread alone while that is quicker than waking the others.
    /// - Parameter width: floats that the step reads for one token, about.
    public func forEachToken(_ count: Int, width: Int, _ step: some TokenStep) {
        if count * width <= Self.serialElements || count == 1 {
            for token in 0..<count { step.run(token: token) }
        } else {
            let perChunk = max(count / (threadCount * 4), 1)
            run(TokenLoop(step: step, count: count, perChunk: perChunk), chunkCount: (count + perChunk - 1) / perChunk)
        }
    }
}

private struct TokenLoop<Step: TokenStep>: ChunkedLoop {
    let step: Step
    let count: Int
    let perChunk: Int

    func run(chunk: Int, thread: Int) {
        for token in chunk * perChunk..<min((chunk + 1) * perChunk, count) { step.run(token: token) }
    }
}
