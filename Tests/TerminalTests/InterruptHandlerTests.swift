import Synchronization
import Testing

@testable import Terminal

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What happened, in order.
private final class Journal: Sendable {
    private let entries = Mutex<[String]>([])

    func add(_ entry: String) { entries.withLock { $0.append(entry) } }

    var all: [String] { entries.withLock { $0 } }

    /// Waits until `entry` has happened.
    func wait(for entry: String) async -> Bool {
        for _ in 0..<1000 {
            if all.contains(entry) { return true }
            try? await Task.sleep(for: .milliseconds(5))
        }
        return false
    }

    func handler(signals: [Int32] = []) -> InterruptHandler {
        InterruptHandler(signals: signals, terminate: { self.add("exit \($0)") })
    }
}

@Suite(.timeLimit(.minutes(20))) struct InterruptHandlerTests {
    @Test func cleansUpInReverseOrderAndThenExits() async {
        let journal = Journal()
        let handler = journal.handler()
        _ = handler.register { journal.add("first") }
        let cancelled = handler.register { journal.add("cancelled") }
        _ = handler.register { journal.add("last") }
        cancelled.cancel()
        handler.receive(SIGINT)
        #expect(await journal.wait(for: "exit 130"))
        #expect(journal.all == ["last", "first", "exit 130"])
    }

    @Test func catchesARealSignal() async {
        let journal = Journal()
        let handler = journal.handler(signals: [SIGUSR1])
        _ = handler.register { journal.add("clean") }
        kill(getpid(), SIGUSR1)
        #expect(await journal.wait(for: "exit \(128 + SIGUSR1)"))
        #expect(journal.all.first == "clean")
    }

    @Test func doesNotWaitAfterASecondSignal() async {
        let journal = Journal()
        let handler = journal.handler()
        let gate = Mutex(false)
        _ = handler.register {
            journal.add("started")
            while !gate.withLock({ $0 }) { usleep(1000) }
            journal.add("finished")
        }
        handler.receive(SIGINT)
        #expect(await journal.wait(for: "started"))
        handler.receive(SIGTERM)
        #expect(await journal.wait(for: "exit 143"))
        #expect(!journal.all.contains("finished"))
        gate.withLock { $0 = true }
        #expect(await journal.wait(for: "exit 130"))
    }

    @Test func letsACancelledTaskCleanUpBeforeTheExit() async {
        let journal = Journal()
        let handler = journal.handler()
        let work = Task {
            try await handler.cancelling {
                journal.add("started")
                do {
                    try await Task.sleep(for: .seconds(60))
                } catch {
                    try? await Task { try await Task.sleep(for: .milliseconds(50)) }.value
                    journal.add("cleaned")
                    throw error
                }
            }
        }
        #expect(await journal.wait(for: "started"))
        handler.receive(SIGINT)
        await #expect(throws: Interruption(signal: SIGINT)) { try await work.value }
        #expect(journal.all == ["started", "cleaned", "exit 130"])
    }

    @Test func passesResultsAndErrorsThrough() async throws {
        let journal = Journal()
        let handler = journal.handler()
        #expect(try await handler.cancelling { 7 } == 7)
        await #expect(throws: CancellationError.self) { try await handler.cancelling { throw CancellationError() } }
        let outer = Task { try await handler.cancelling { try await Task.sleep(for: .seconds(60)) } }
        outer.cancel()
        await #expect(throws: CancellationError.self) { try await outer.value }
        // Its clean-up has been taken back: it would wait for a task that is gone.
        handler.receive(SIGINT)
        #expect(await journal.wait(for: "exit 130"))
    }

    @Test func endsBeforeTheErrorThatTheCleanUpBringsAbout() async throws {
        struct Failure: Error {}
        let journal = Journal()
        let handler = journal.handler()
        #expect(try handler.abandoning { 7 } == 7)
        #expect(throws: Failure.self) { try handler.abandoning { throw Failure() } }
        #expect(journal.all == [])
        _ = handler.register { journal.add("clean") }
        let interruption = #expect(throws: Interruption.self) {
            try handler.abandoning {
                handler.receive(SIGINT)
                while journal.all.isEmpty { usleep(1000) }
                throw Failure()
            }
        }
        #expect(interruption?.signal == SIGINT)
        #expect(journal.all == ["clean", "exit 130"])
    }
}
