/// Why one request did not bring what it should have. Pure data: what to do about it is ``RetryPolicy``'s.
enum TransferFailure: Error, Equatable {
    /// A status that is no success. `waitSeconds` is what the server asks for, `code` its own word for the reason.
    case status(Int, waitSeconds: Int?, code: String?)
    /// The connection could not be made, or broke.
    case connection(reason: String)
    /// Nothing came for too long.
    case timedOut
    /// The connection ended before the content did.
    case cutShort
    /// No connection that we would use: asking again would not help.
    case untrusted(reason: String)
    /// The answer makes no sense: asking again would not help.
    case unacceptable(reason: String)
    /// The task was cancelled.
    case cancelled
}

/// When a failed request is made again, and after how long. A value; whoever asks waits.
struct RetryPolicy: Sendable, Equatable {
    enum Decision: Equatable {
        case retry(afterSeconds: Double)
        case giveUp
    }

    /// Failures in a row, with nothing arriving between them, that end a transfer.
    var failureLimit = 6
    /// The pauses double from here: 1, 2, 4, 8, 16 seconds bridge a router's restart.
    var firstPauseSeconds = 1.0
    var longestPauseSeconds = 30.0
    /// The longest that a server may ask us to wait. The hub's limits count in windows of five minutes.
    var longestWaitSeconds = 300
    /// Bytes that must have arrived for a transfer to count as alive: a server that sends a byte for each connection
    /// would keep us forever otherwise.
    var progressByteCount = 64 << 10

    /// - Parameters:
    ///   - failures: how often it has failed without progress, this time included.
    ///   - jitter: from 0 to 1, random, so that many clients of a server that was down do not come back at once.
    func decision(after failure: TransferFailure, failures: Int, jitter: Double) -> Decision {
        guard failures < failureLimit, isPassing(failure) else { return .giveUp }
        if case .status(_, let wait?, _) = failure {
            // Half a second more: the server's clock and ours need not agree.
            return wait <= longestWaitSeconds ? .retry(afterSeconds: Double(wait) + 0.5 * jitter) : .giveUp
        }
        var pause = firstPauseSeconds
        for _ in 1..<max(failures, 1) { pause = min(pause * 2, longestPauseSeconds) }
        return .retry(afterSeconds: pause * (0.75 + 0.5 * jitter))
    }

    /// Whether the same request may succeed later.
    private func isPassing(_ failure: TransferFailure) -> Bool {
        switch failure {
        case .status(let status, _, _):
            [408, 425, 429].contains(status) || (500...599).contains(status) && status != 501
        case .connection, .timedOut, .cutShort: true
        case .untrusted, .unacceptable, .cancelled: false
        }
    }
}
