import CKernels
import Tensors

extension CPUBackend {
    public func attend(layer index: Int, _ batch: Batch) {
        var cacheLayer = cache.kernelLayer(index)
        let plan = attentionPlans[attentionPlanOfLayer[index]]
        withUnsafePointer(to: &cacheLayer) { cacheLayer in
            batch.runs.withUnsafeBufferPointer { runs in
                batch.blocks.withUnsafeBufferPointer { blocks in
                    plan.tasks.withUnsafeBufferPointer { tasks in
                        plan.joins.withUnsafeBufferPointer { joins in
                            guard let blocks = blocks.baseAddress else { return }
                            let loop = AttentionLoop(
                                tasks: tasks, joins: joins, shape: plan.shape, cacheLayer: cacheLayer, runs: runs,
                                blocks: blocks, queries: buffers.queries.pointer,
                                attended: buffers.attended.pointer, partials: attentionPartials.view,
                                scratch: UnsafeMutableRawPointer(scratch.pointer), kernels: kernels)
                            pool.run(loop, chunkCount: tasks.count)
                        }
                    }
                }
            }
        }
    }
}
