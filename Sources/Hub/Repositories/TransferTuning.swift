import Synchronization

/// How transfers go about: numbers that tests make small.
struct TransferTuning: Sendable {
    var policy = RetryPolicy()
    /// How long a connection may take to be made.
    var connectSeconds = 10.0
    /// How long a server may send nothing: `huggingface_hub` waits 10 seconds, slow lines deserve more.
    var silenceSeconds = 30.0
    /// Ranges of 8 MiB: at 25 MB/s for each connection a round trip of 50 ms is a seventh of one, which the other
    /// connections fill; and what is ahead of a gap, and lost when a pull ends, is seldom more than three of them.
    var rangeByteCount = 8 << 20
    /// How far connections may be ahead of the slowest: 64 MiB of memory at most.
    var windowByteCount = 64 << 20
    /// As many as a server behind a long line needs to fill it, and few enough that no hub minds.
    var connectionCount = 4
    /// Waits before something is tried again.
    var pause: @Sendable (Double) async throws -> Void = { try await Task.sleep(for: .seconds($0)) }
    var jitter: @Sendable () -> Double = { Double.random(in: 0...1) }
}

/// Counts what has arrived of all files together, and tells.
final class TransferMeter: Sendable {
    private let completed = Mutex(0)
    private let totalBytes: Int
    private let report: @Sendable (PullProgress) -> Void

    init(totalBytes: Int, report: @escaping @Sendable (PullProgress) -> Void) {
        self.totalBytes = totalBytes
        self.report = report
    }

    /// - Parameter count: negative if bytes turned out to be worthless.
    func add(_ count: Int, _ phase: PullProgress.Phase) {
        let completed = completed.withLock { completed in
            completed += count
            return completed
        }
        report(PullProgress(phase, min(max(completed, 0), totalBytes), of: totalBytes))
    }
}
