import CUDA
import CUDAKernels

/// Decoding steps that were recorded: by number of sequences, and by the context that attention is cut for.
final class StepRecordings {
    struct Shape: Hashable {
        let sequences: Int
        /// Tokens: a power of two, so that a sequence that grows is recorded anew only when it has doubled.
        let context: Int

        /// Shorter contexts would be recorded anew too soon.
        static let shortestContext = 256

        /// nil for a batch that is no decoding step: one token of each sequence.
        init?(_ batch: Batch) {
            guard batch.runs.count == batch.tokens.count else { return nil }
            sequences = batch.runs.count
            let longest = batch.runs.map { $0.firstPosition + 1 }.max() ?? 1
            var context = Self.shortestContext
            while context < longest { context *= 2 }
            self.context = context
        }
    }

    private var graphs: [Shape: Graph] = [:]
    /// Each takes some memory of the GPU; a server's batches have many sizes.
    private static let limit = 64

    var count: Int { graphs.count }

    subscript(shape: Shape) -> Graph? { graphs[shape] }

    func keep(_ graph: Graph, for shape: Shape) {
        if graphs.count >= Self.limit { graphs.removeAll() }
        graphs[shape] = graph
    }

    func removeAll() { graphs.removeAll() }
}

extension CUDABackend {
    /// Decoding steps that are one launch from now on.
    public var recordedStepCount: Int { recordings?.count ?? 0 }

    public func run(_ batch: Batch, steps enqueueSteps: () throws(ModelError) -> Void) throws(ModelError) {
        // Kernels trust the block table: a block outside the cache would be somebody else's memory.
        for block in batch.blocks { precondition(block >= 0 && block < blockCount, "cache block \(block)") }
        headPlaces = []
        // What a library multiplies allocates.
        let recordable = min(maximumLogitsTokens, LongProducts.leastTokens - 1)
        let shape = batch.runs.count <= recordable ? StepRecordings.Shape(batch) : nil
        schedule = AttentionSchedule(
            batch.runs.map { run in
                AttentionSchedule.Run(
                    tokens: run.tokens, firstPosition: run.firstPosition, firstBlock: run.blocks.lowerBound)
            }, geometry: geometry, context: shape?.context, wantedBlocks: attention.wantedBlocks)
        try onDevice { () throws(CUDAError) in
            try attentionWorkspace.reserve(slots: schedule.slotCount)
            if try inputs.enqueue(batch, schedule) { recordings?.removeAll() }
        }
        guard let shape, let recordings else {
            try enqueueSteps()
            return
        }
        try onDevice { () throws(CUDAError) in
            let graph: Graph
            if let recorded = recordings[shape] {
                graph = recorded
            } else {
                graph = try record(shape, enqueueSteps)
                recordings.keep(graph, for: shape)
            }
            try graph.launch(on: stream)
        }
        headPlaces = Array(0..<shape.sequences)
    }

    /// Records a decoding step, logits and choices of all sequences included.
    private func record(
        _ shape: StepRecordings.Shape, _ enqueueSteps: () throws(ModelError) -> Void
    ) throws(CUDAError) -> Graph {
        // Nothing may be compiled or allocated while the stream is recorded.
        for matrix in weights.matrices {
            try products.reserve(matrix, tokens: shape.sequences, in: workspace)
        }
        let kept = workspace.buffers + attentionWorkspace.buffers + [inputs.buffer]
        return try Graph(capturing: stream, keeping: kept) { () throws(CUDAError) in
            do throws(ModelError) { try enqueueSteps() } catch {
                guard let device = error.device else { preconditionFailure("a recorded step failed: \(error)") }
                throw device
            }
            try enqueueHead(places: nil, count: shape.sequences)
        }
    }
}
