import CKernels

/// One thread's piece of attention: some tokens of one run, one key-value head.
struct AttentionTask {
    let run: Int
    let keyValueHead: Int
    /// Places in the batch.
    let tokens: Range<Int>
}

extension CPUBackend {
    /// Tokens of one attention task: enough to share the loads of keys, few enough to spread a prompt over the threads.
    private static var taskTokens: Int { 16 }

    /// Cuts the batch's attention into tasks, the same for all layers.
    func planAttention(_ batch: Batch) {
        attentionTasks.removeAll(keepingCapacity: true)
        for (index, run) in batch.runs.enumerated() {
            // Long contexts first, so that no thread begins the longest task last.
            for piece in (0..<(run.tokens.count + Self.taskTokens - 1) / Self.taskTokens).reversed() {
                let first = run.tokens.lowerBound + piece * Self.taskTokens
                let tokens = first..<min(first + Self.taskTokens, run.tokens.upperBound)
                for head in 0..<configuration.keyValueHeadCount {
                    attentionTasks.append(AttentionTask(run: index, keyValueHead: head, tokens: tokens))
                }
            }
        }
    }

    /// Rotates the batch's queries and keys and stores keys and values in their blocks.
    func appendToCache(layer index: Int, _ batch: Batch) {
        var cacheLayer = cache.kernelLayer(index)
        let headSize = configuration.headSize
        let half = headSize / 2
        withUnsafePointer(to: &cacheLayer) { cacheLayer in
            for run in batch.runs {
                forEachToken(run.tokens.count) { offset in
                    let token = run.tokens.lowerBound + offset
                    let position = run.firstPosition + offset
                    let block = batch.blocks[run.blocks.lowerBound + position / KeyValueCache.blockTokens]
                    let keys = buffers.keys.pointer + token * configuration.keyValueWidth
                    let cosines = buffers.cosines.pointer + token * half
                    let sines = buffers.sines.pointer + token * half
                    kernels.table.rotate(
                        buffers.queries.pointer + token * configuration.queryWidth, Int64(configuration.headCount),
                        Int64(headSize), cosines, sines)
                    kernels.table.rotate(
                        keys, Int64(configuration.keyValueHeadCount), Int64(headSize), cosines, sines)
                    kernels.table.append(
                        cacheLayer, Int64(block), Int64(position % KeyValueCache.blockTokens), keys,
                        buffers.values.pointer + token * configuration.keyValueWidth)
                }
            }
        }
    }

    public func attend(layer index: Int, _ batch: Batch) {
        var cacheLayer = cache.kernelLayer(index)
        withUnsafePointer(to: &cacheLayer) { cacheLayer in
            batch.blocks.withUnsafeBufferPointer { blocks in
                guard let blocks = blocks.baseAddress else { return }
                let loop = AttentionLoop(backend: self, batch: batch, cacheLayer: cacheLayer, blocks: blocks)
                pool.run(loop, chunkCount: attentionTasks.count)
            }
        }
    }

    /// The task's (token, query head) pairs, a few at a time, so that they share the loads of keys and values.
    func attend(
        _ task: AttentionTask, firstPosition: Int, cacheLayer: UnsafePointer<flash_cache_layer>,
        blockTable: UnsafePointer<Int32>
    ) {
        let headSize = configuration.headSize
        let width = configuration.queryWidth
        let group = configuration.headCount / configuration.keyValueHeadCount
        let scale = 1 / Float(headSize).squareRoot()
        let limit = Int(FLASH_ATTENTION_QUERIES)
        let pairs = task.tokens.count * group
        withUnsafeTemporaryAllocation(of: UnsafePointer<Float>?.self, capacity: limit) { queries in
            withUnsafeTemporaryAllocation(of: UnsafeMutablePointer<Float>?.self, capacity: limit) { outputs in
                withUnsafeTemporaryAllocation(of: Int64.self, capacity: limit) { lengths in
                    for first in stride(from: 0, to: pairs, by: limit) {
                        let count = min(limit, pairs - first)
                        for slot in 0..<count {
                            let (offset, head) = (first + slot).quotientAndRemainder(dividingBy: group)
                            let place = (task.tokens.lowerBound + offset) * width
                            let column = (task.keyValueHead * group + head) * headSize
                            queries.initializeElement(at: slot, to: buffers.queries.pointer + place + column)
                            outputs.initializeElement(at: slot, to: buffers.attended.pointer + place + column)
                            lengths.initializeElement(at: slot, to: Int64(firstPosition + offset + 1))
                        }
                        kernels.table.attend(
                            cacheLayer, blockTable, Int64(task.keyValueHead), scale, Int64(count),
                            queries.baseAddress, lengths.baseAddress, outputs.baseAddress)
                    }
                }
            }
        }
    }
}
