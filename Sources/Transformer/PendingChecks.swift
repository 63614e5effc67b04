import Synchronization
public import Tensors

/// Checks of weights that wait for the weights' first use.
///
/// Opening a packed model maps its file and reads almost nothing; whether the bytes are what was written shows when a
/// layer is first multiplied with. The checks of a layer run once, before that, spread over the worker pool.
public final class PendingChecks: Sendable {
    public typealias Check = @Sendable () throws(ModelError) -> Void

    private let checks: [[Check]]
    private let isDone: Mutex<[Bool]>

    /// - Parameter checks: those of each layer; one more entry for what lies outside the layers.
    public init(_ checks: [[Check]]) {
        self.checks = checks
        isDone = Mutex(checks.map(\.isEmpty))
    }

    /// Runs the checks of group `index` unless they have passed already.
    /// - Throws: the first failure by order of the checks; a later call runs them again.
    public func run(_ index: Int, on pool: WorkerPool) throws(ModelError) {
        if isDone.withLock({ $0[index] }) { return }
        let group = checks[index]
        let failures = Mutex<[ModelError?]>(Array(repeating: nil, count: group.count))
        pool.forEachChunk(group.count) { chunk, _ in
            do throws(ModelError) { try group[chunk]() } catch { failures.withLock { $0[chunk] = error } }
        }
        if let failure = failures.withLock({ $0.compactMap(\.self).first }) { throw failure }
        isDone.withLock { $0[index] = true }
    }
}
