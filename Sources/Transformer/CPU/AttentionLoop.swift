import CKernels
import Sparse
import Tensors

/// The attention tasks of a batch in one layer. Owns nothing: see LayerLoops.swift.
struct AttentionLoop: ChunkedLoop {
    let tasks: UnsafeBufferPointer<AttentionPlan.Task>
    let joins: UnsafeBufferPointer<AttentionPlan.Join>
    let shape: AttentionShape
    let cacheLayer: UnsafePointer<flash_cache_layer>
    /// The batch's runs and block ids.
    let runs: UnsafeBufferPointer<Batch.Run>
    let blocks: UnsafePointer<Int32>
    /// `[tokens, headCount, headSize]`, both.
    let queries: UnsafePointer<Float>
    let attended: UnsafeMutablePointer<Float>
    let partials: AttentionPartials.View
    /// ``Kernels/scratchByteCount`` bytes for every thread, behind each other.
    let scratch: UnsafeMutableRawPointer
    let kernels: Kernels

    /// The task's (token, query head) pairs; then, if it finishes the last part of their context, their join.
    func run(chunk: Int, thread: Int) {
        let task = tasks[chunk]
        let pairs = task.tokens.count * shape.group
        let limit = shape.queryLimit
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: limit) { queries in
            withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>?.self, capacity: limit) { outputs in
                // Behind the lengths the beginnings of windows.
                withUnsafeTemporaryAllocation(of: Int64.self, capacity: 2 * limit) { lengths in
                    for first in stride(from: 0, to: pairs, by: limit) {
                        let count = min(limit, pairs - first)
                        for slot in 0..<count {
                            let pair = first + slot
                            let place = shape.place(
                                ofPair: pair, in: task.tokens, keyValueHead: task.keyValueHead)
                            let partial = task.join.map {
                                partials[joins[$0].firstPartial + task.part * pairs + pair]
                            }
                            queries.initializeElement(at: slot, to: self.queries + place)
                            outputs.initializeElement(at: slot, to: partial ?? attended + place)
                            let length = task.firstPosition + pair / shape.group + 1
                            lengths.initializeElement(at: slot, to: Int64(length))
                            lengths.initializeElement(at: limit + slot, to: Int64(length - (shape.window ?? 0)))
                        }
                        var attention = attention(of: task, chunk: chunk)
                        attention.query_count = Int64(count)
                        attention.queries = UnsafePointer(queries.baseAddress)
                        attention.outputs = UnsafePointer(outputs.baseAddress)
                        attention.lengths = UnsafePointer(lengths.baseAddress)
                        attention.starts = shape.window == nil ? nil : UnsafePointer(lengths.baseAddress! + limit)
                        attention.scratch = scratch + thread * Kernels.scratchByteCount
                        kernels.table.attend(cacheLayer, &attention)
                    }
                }
            }
        }
        guard let index = task.join else { return }
        if partials.finishPart(of: index, partCount: joins[index].partCount) { join(joins[index], pairs: pairs) }
    }

    /// All but the queries.
    private func attention(of task: AttentionPlan.Task, chunk: Int) -> flash_attention {
        var attention = flash_attention()
        attention.block_table = blockTable(of: task)
        attention.kv_head = Int64(task.keyValueHead)
        attention.scale = shape.scale
        attention.cap = shape.cap ?? 0
        attention.first_token = Int64(task.context.lowerBound)
        attention.end_token = Int64(task.context.upperBound)
        attention.is_part = task.join == nil ? 0 : 1
        // What this thread will probably be asked for next: a thread's share is claimed in order.
        if chunk + 1 < tasks.count {
            let next = tasks[chunk + 1]
            attention.next_block_table = blockTable(of: next)
            attention.next_kv_head = Int64(next.keyValueHead)
            attention.next_first_token = Int64(next.context.lowerBound)
            attention.next_end_token = Int64(next.context.upperBound)
        }
        return attention
    }

    private func blockTable(of task: AttentionPlan.Task) -> UnsafePointer<Int32> {
        blocks + runs[task.run].blocks.lowerBound
    }

    private func join(_ join: AttentionPlan.Join, pairs: Int) {
        for pair in 0..<pairs {
            let place = shape.place(ofPair: pair, in: join.tokens, keyValueHead: join.keyValueHead)
            kernels.table.join_attention(
                partials[join.firstPartial + pair], Int64(pairs * partials.stride), Int64(join.partCount),
                Int64(shape.headSize), attended + place)
        }
    }
}

/// What attention knows of a model.
struct AttentionShape {
    let headCount: Int
    let keyValueHeadCount: Int
    /// Query heads of one key-value head.
    let group: Int
    let headSize: Int
    /// Queries that one call of the kernel takes: its limit, or what fits the scratch memory where heads are wide.
    let queryLimit: Int
    let scale: Float
    /// Scores are capped at it; nil: they are not.
    let cap: Float?
    /// How many of the last tokens each token looks at; nil for all.
    let window: Int?

    init(_ configuration: ModelConfiguration, window: Int?) {
        headCount = configuration.headCount
        keyValueHeadCount = configuration.keyValueHeadCount
        group = headCount / keyValueHeadCount
        headSize = configuration.headSize
        queryLimit = min(
            Int(FLASH_ATTENTION_QUERIES), Kernels.scratchByteCount / MemoryLayout<Float>.stride / headSize - 13)
        scale = configuration.attentionScale
        cap = configuration.attentionCap
        self.window = window
    }

    /// Where the query of a (token, query head) pair lies among all queries, and its output among all outputs.
    func place(ofPair pair: Int, in tokens: Range<Int>, keyValueHead: Int) -> Int {
        let (offset, head) = pair.quotientAndRemainder(dividingBy: group)
        return ((tokens.lowerBound + offset) * headCount + keyValueHead * group + head) * headSize
    }
}
