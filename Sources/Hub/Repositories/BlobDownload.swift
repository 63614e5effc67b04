import Synchronization
import Terminal

/// Brings the content of one file into a ``BlobWriter``, over several connections if the server knows ranges.
struct BlobDownload: Sendable {
    let client: HubClient
    let reference: RepositoryReference
    let commit: String
    let file: RepositoryFile
    let writer: BlobWriter
    let tuning: TransferTuning
    let meter: TransferMeter
    /// Where redirects led: later ranges go there directly, until that address expires.
    private let direct = SharedAddress()

    init(
        client: HubClient, reference: RepositoryReference, commit: String, file: RepositoryFile, writer: BlobWriter,
        tuning: TransferTuning, meter: TransferMeter
    ) {
        self.client = client
        self.reference = reference
        self.commit = commit
        self.file = file
        self.writer = writer
        self.tuning = tuning
        self.meter = meter
    }

    private final class SharedAddress: Sendable {
        private let address = Mutex<WebAddress?>(nil)
        var value: WebAddress? { address.withLock { $0 } }
        func set(_ value: WebAddress?) { address.withLock { $0 = value } }
    }

    /// Fetches what is missing.
    /// - Throws: `HubError.repository`, `diskFull`, `fileFailed`; `cancelled` if the task is. What has arrived stays.
    func run() async throws(HubError) {
        // The first range alone: its answer tells whether there can be others.
        guard let first = await writer.claim() else { return }
        do {
            try await fetch(first, isFirst: true)
            try await withThrowingTaskGroup(of: Void.self) { group in
                var running = 0
                while true {
                    while running < tuning.connectionCount, let range = await writer.claim() {
                        group.addTask { try await fetch(range, isFirst: false) }
                        running += 1
                    }
                    guard running > 0 else { return }
                    try await group.next()
                    running -= 1
                }
            }
        } catch {
            throw error as? HubError ?? .cancelled
        }
    }

    /// Fetches one range, however often the connection breaks, within the policy.
    private func fetch(_ range: Range<Int>, isFirst: Bool) async throws {
        var progress = RangeProgress(range)
        var failures = 0
        while !progress.isComplete {
            let start = progress.next
            do {
                try await transfer(&progress, isFirst: isFirst)
            } catch let failure as TransferFailure {
                if failure == .cancelled || Task.isCancelled { throw HubError.cancelled }
                failures = progress.next - start >= tuning.policy.progressByteCount ? 1 : failures + 1
                switch tuning.policy.decision(after: failure, failures: failures, jitter: tuning.jitter()) {
                case .retry(let seconds):
                    meter.add(0, .retrying)
                    try await tuning.pause(seconds)
                case .giveUp:
                    let host = direct.value?.host ?? client.host
                    throw HubError.repository(
                        reference.description,
                        RepositoryError(
                            failure, host: host, hasToken: client.settings.token != nil, what: file.path.printable))
                }
            }
        }
    }

    /// One request for what is missing of a range.
    private func transfer(_ progress: inout RangeProgress, isFirst: Bool) async throws {
        let reached = try await open(progress.next..<progress.end)
        try check(reached.firstHeaders)
        let answer = reached.answer
        // A server that knows no ranges sends the file from its beginning, which is skipped as far as it is there.
        var skipped = 0
        if answer.status == 206 {
            guard let found = answer.headers.contentRange, found.bytes.lowerBound == progress.next,
                found.total.map({ $0 == file.byteCount }) ?? true
            else {
                throw TransferFailure.unacceptable(
                    reason: "\(file.path.printable) came with the range "
                        + "'\((answer.headers["Content-Range"] ?? "none").printable)', expected bytes from "
                        + "\(progress.next) of \(file.byteCount)")
            }
        } else {
            if let length = answer.headers.contentLength, length != file.byteCount {
                throw TransferFailure.unacceptable(
                    reason: "\(file.path.printable) has \(length) bytes, expected \(file.byteCount)")
            }
            skipped = progress.next
            if isFirst { progress.end = await writer.claimRest() }
        }
        let end = progress.end
        var next = progress.next
        defer { progress.next = next }
        try await answer.forEachPiece { piece in
            let dropped = min(skipped, piece.count)
            skipped -= dropped
            let count = min(piece.count - dropped, end - next)
            guard count > 0 else { return next < end }
            let isWhole = dropped == 0 && count == piece.count
            try await writer.receive(isWhole ? piece : Array(piece[dropped..<dropped + count]), at: next)
            next += count
            meter.add(count, .downloading)
            return next < end
        }
        guard next == end else { throw TransferFailure.cutShort }
    }

    /// Asks at the address that redirects led to before, else, and if that has expired, at the hub.
    private func open(_ range: Range<Int>) async throws(TransferFailure) -> HubClient.Reached {
        let asked: Range<Int>? = range == 0..<file.byteCount ? nil : range
        if let address = direct.value {
            do throws(TransferFailure) { return try await client.get(address, range: asked) } catch {
                guard case .status(let status, _, _) = error, [400, 401, 403, 404, 410].contains(status) else {
                    throw error
                }
                direct.set(nil)
            }
        }
        let start = client.address(of: file, in: reference, commit: commit)
        let reached = try await client.get(start, range: asked)
        if reached.address != start { direct.set(reached.address) }
        return reached
    }

    /// What the hub says about the file must be what its list said: better known before gigabytes have come.
    private func check(_ headers: AnswerHeaders) throws(TransferFailure) {
        if let found = headers.commit, found != commit {
            throw .unacceptable(reason: "\(file.path.printable) is of commit \(found.printable), expected \(commit)")
        }
        if let found = headers.linkedByteCount, found != file.byteCount {
            throw .unacceptable(reason: "\(file.path.printable) has \(found) bytes, expected \(file.byteCount)")
        }
        if headers["X-Linked-ETag"] != nil, let found = headers.contentTag, found != file.digest.text {
            throw .unacceptable(
                reason: "\(file.path.printable) has the tag '\(found.printable)', expected \(file.digest.text)")
        }
    }
}

/// How much of a range has been handed on.
private struct RangeProgress {
    var next: Int
    var end: Int

    init(_ range: Range<Int>) {
        next = range.lowerBound
        end = range.upperBound
    }

    var isComplete: Bool { next == end }
}
