import CKernels
import Sparse

extension CPUBackend {
    public func attend(layer index: Int, _ batch: Batch) {
        var cacheLayer = cache.kernelLayer(index)
        withUnsafePointer(to: &cacheLayer) { cacheLayer in
            batch.runs.withUnsafeBufferPointer { runs in
                batch.blocks.withUnsafeBufferPointer { blocks in
                    guard let blocks = blocks.baseAddress else { return }
                    let plan = attentionPlanOfLayer[index]
                    let loop = AttentionLoop(
                        backend: self, plan: plan, cacheLayer: cacheLayer, runs: runs, blocks: blocks)
                    pool.run(loop, chunkCount: attentionPlans[plan].tasks.count)
                }
            }
        }
    }

    /// Queries that one call of the kernel takes: its limit, or what fits the scratch memory where heads are wide.
    static func queryLimit(headSize: Int) -> Int {
        min(Int(FLASH_ATTENTION_QUERIES), Kernels.scratchByteCount / MemoryLayout<Float>.stride / headSize - 13)
    }

    /// The task's (token, query head) pairs; then, if it finishes the last part of their context, their join. `next`
    /// is what this thread will probably be asked for after it.
    func attend(
        _ task: AttentionPlan.Task, ofPlan plan: Int, cacheLayer: UnsafePointer<flash_cache_layer>,
        blockTable: UnsafePointer<Int32>,
        scratch: UnsafeMutableRawPointer, next: (task: AttentionPlan.Task, blockTable: UnsafePointer<Int32>)?
    ) {
        let group = configuration.headCount / configuration.keyValueHeadCount
        let pairs = task.tokens.count * group
        let limit = Self.queryLimit(headSize: configuration.headSize)
        let join = task.join.map { attentionPlans[plan].joins[$0] }
        let window = attentionPlans[plan].window
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: limit) { queries in
            withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>?.self, capacity: limit) { outputs in
                // Behind the lengths the beginnings of windows.
                withUnsafeTemporaryAllocation(of: Int64.self, capacity: 2 * limit) { lengths in
                    let starts = UnsafePointer(lengths.baseAddress! + limit)
                    for first in stride(from: 0, to: pairs, by: limit) {
                        let count = min(limit, pairs - first)
                        for slot in 0..<count {
                            let pair = first + slot
                            let place = place(of: pair, in: task.tokens, keyValueHead: task.keyValueHead)
                            let partial = join.map { attentionPartials[$0.firstPartial + task.part * pairs + pair] }
                            queries.initializeElement(at: slot, to: buffers.queries.pointer + place)
                            outputs.initializeElement(at: slot, to: partial ?? buffers.attended.pointer + place)
                            let length = task.firstPosition + pair / group + 1
                            lengths.initializeElement(at: slot, to: Int64(length))
                            if let window { lengths.initializeElement(at: limit + slot, to: Int64(length - window)) }
                        }
                        var attention = flash_attention(
                            block_table: blockTable, kv_head: Int64(task.keyValueHead),
                            scale: configuration.attentionScale, cap: configuration.attentionCap ?? 0,
                            first_token: Int64(task.context.lowerBound), end_token: Int64(task.context.upperBound),
                            query_count: Int64(count), queries: queries.baseAddress, lengths: lengths.baseAddress,
                            starts: window == nil ? nil : starts, outputs: outputs.baseAddress,
                            is_part: join == nil ? 0 : 1, scratch: scratch,
                            next_block_table: next?.blockTable,
                            next_kv_head: Int64(next?.task.keyValueHead ?? 0),
                            next_first_token: Int64(next?.task.context.lowerBound ?? 0),
                            next_end_token: Int64(next?.task.context.upperBound ?? 0))
                        kernels.table.attend(cacheLayer, &attention)
                    }
                }
            }
        }
        if let join, let index = task.join, attentionPartials.finishPart(of: index, partCount: join.partCount) {
            joinParts(join, pairs: pairs)
        }
    }

    private func joinParts(_ join: AttentionPlan.Join, pairs: Int) {
        for pair in 0..<pairs {
            let place = place(of: pair, in: join.tokens, keyValueHead: join.keyValueHead)
            kernels.table.join_attention(
                attentionPartials[join.firstPartial + pair], Int64(pairs * attentionPartials.stride),
                Int64(join.partCount), Int64(configuration.headSize), buffers.attended.pointer + place)
        }
    }

    /// Where the query of a (token, query head) pair lies among all queries, and its output among all outputs.
    private func place(of pair: Int, in tokens: Range<Int>, keyValueHead: Int) -> Int {
        let group = configuration.headCount / configuration.keyValueHeadCount
        let (offset, head) = pair.quotientAndRemainder(dividingBy: group)
        return (tokens.lowerBound + offset) * configuration.queryWidth
            + (keyValueHead * group + head) * configuration.headSize
    }
}
