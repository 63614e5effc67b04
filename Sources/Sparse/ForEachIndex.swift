import Tensors

/// Calls `body(index, thread)` for every index of `0..<count`, on the threads of `pool`, or on this one without it.
func forEachIndex(_ count: Int, _ pool: WorkerPool?, _ body: (_ index: Int, _ thread: Int) -> Void) {
    if let pool {
        pool.forEachChunk(count, body)
    } else {
        for index in 0..<count { body(index, 0) }
    }
}
