import Synchronization
import Tensors

extension WorkerPool {
    /// Calls `body(index, thread)` for `0..<count`, spread over the threads, until one of them throws.
    /// - Throws: of several failures, that of the lowest index.
    func forEachIndex(_ count: Int, _ body: (_ index: Int, _ thread: Int) throws -> Void) throws {
        let failure = Mutex<(index: Int, error: any Error)?>(nil)
        forEachChunk(count) { index, thread in
            // Indices are claimed in ascending order: what comes after a failure cannot be the first one.
            if failure.withLock({ $0 != nil }) { return }
            do { try body(index, thread) } catch {
                failure.withLock { first in
                    if index < first?.index ?? .max { first = (index, error) }
                }
            }
        }
        if let failure = failure.withLock({ $0 }) { throw failure.error }
    }
}
