import Dispatch
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// Thrown out of ``InterruptHandler/cancelling(_:)`` when a signal ended the work.
public struct Interruption: Error, Equatable, CustomStringConvertible {
    public let signal: Int32
    public var exitCode: Int32 { ExitStatus.signal(signal) }
    public var description: String { "interrupted" }
}

/// Makes Ctrl-C stop the program at once and cleanly: what was registered is cleaned up, then the process exits with
/// 128 + the signal's number (130 for SIGINT).
///
/// The signals are SIGINT, SIGTERM and SIGHUP. Clean-ups run on a thread of their own, never inside a signal handler,
/// so they may do anything; they run in reverse order of registration while the rest of the program is still running.
/// A second signal does not wait for them. Make one handler per process, early; it stays in force to the end.
///
///     let interrupts = InterruptHandler()
///     let cleanUp = interrupts.register { unlink(partialPath) }
///     defer { cleanUp.cancel() }
public final class InterruptHandler: Sendable {
    public typealias CleanUp = @Sendable () -> Void

    private struct State: Sendable {
        var cleanUps: [(identifier: Int, run: CleanUp)] = []
        var nextIdentifier = 0
        var receivedSignal: Int32?
        var hasTerminated = false
    }

    /// How long a cancelled task may take to clean up before the process goes without it.
    private static let cancellationLimitSeconds = 5.0

    private let state = Mutex(State())
    private let terminate: @Sendable (Int32) -> Void
    /// Dispatch sources may be used from any thread, but their protocol does not say so.
    nonisolated(unsafe) private let sources: [any DispatchSourceSignal]
    private let cleaningQueue = DispatchQueue(label: "flash-llm.interrupts.cleaning", qos: .userInitiated)

    /// Exits without running `atexit` handlers: they would pull the floor from under threads that are still at work.
    public convenience init() {
        self.init(signals: [SIGINT, SIGTERM, SIGHUP], terminate: { _exit($0) })
    }

    /// - Parameter terminate: takes the exit code; does not return, except in tests.
    init(signals: [Int32], terminate: @escaping @Sendable (Int32) -> Void) {
        self.terminate = terminate
        let queue = DispatchQueue(label: "flash-llm.interrupts", qos: .userInitiated)
        sources = signals.map { DispatchSource.makeSignalSource(signal: $0, queue: queue) }
        let isWatching = DispatchSemaphore(value: 0)
        for (number, source) in zip(signals, sources) {
            // Dispatch only watches on Darwin, where the signal would still end the process unless it is ignored. On
            // Linux it installs a handler of its own, which ignoring the signal would undo.
            #if canImport(Darwin)
            signal(number, SIG_IGN)
            #endif
            // The cycle of handler and source is meant: a handler that went away after its last mention would leave
            // Ctrl-C without effect.
            source.setEventHandler { self.receive(number) }
            source.setRegistrationHandler { isWatching.signal() }
            source.resume()
        }
        for _ in signals { isWatching.wait() }
    }

    /// A registered clean-up. Forgetting it without `cancel()` leaves the clean-up in force.
    public struct Registration: Sendable {
        fileprivate let handler: InterruptHandler
        fileprivate let identifier: Int

        /// Takes the clean-up back, because the work is done.
        public func cancel() {
            handler.state.withLock { $0.cleanUps.removeAll { $0.identifier == identifier } }
        }
    }

    /// Has `cleanUp` run if a signal ends the program.
    public func register(_ cleanUp: @escaping CleanUp) -> Registration {
        state.withLock { state in
            state.nextIdentifier += 1
            state.cleanUps.append((state.nextIdentifier, cleanUp))
            return Registration(handler: self, identifier: state.nextIdentifier)
        }
    }

    /// Runs `operation` as a task that a signal cancels; the process then waits for its own cleaning up.
    /// - Throws: what `operation` throws; `Interruption` if a signal came while it ran.
    public func cancelling<Value: Sendable>(
        _ operation: @escaping @Sendable () async throws -> Value
    ) async throws -> Value {
        let task = Task { try await operation() }
        let isDone = DispatchSemaphore(value: 0)
        let registration = register {
            task.cancel()
            _ = isDone.wait(timeout: .now() + Self.cancellationLimitSeconds)
        }
        let result = await withTaskCancellationHandler(operation: { await task.result }, onCancel: { task.cancel() })
        isDone.signal()
        registration.cancel()
        guard let signal = state.withLock({ $0.receivedSignal }) else { return try result.get() }
        // The process is about to end: going on from here would race with that, and report an error nobody asked for.
        while !state.withLock({ $0.hasTerminated }) { try? await Task.sleep(for: .milliseconds(10)) }
        throw Interruption(signal: signal)
    }

    /// Runs `operation`, which a signal stops without being waited for: the clean-ups it has registered take away what
    /// it works on. The error that this brings about is not reported; the process ends first.
    /// - Throws: what `operation` throws; `Interruption` if a signal came while it ran.
    public func abandoning<Value>(_ operation: () throws -> Value) throws -> Value {
        let result = Result(catching: operation)
        guard let signal = state.withLock({ $0.receivedSignal }) else { return try result.get() }
        while !state.withLock({ $0.hasTerminated }) { usleep(10_000) }
        throw Interruption(signal: signal)
    }

    /// What the dispatch sources call.
    func receive(_ signal: Int32) {
        let isFirst = state.withLock { state in
            defer { state.receivedSignal = state.receivedSignal ?? signal }
            return state.receivedSignal == nil
        }
        guard isFirst else { return terminate(ExitStatus.signal(signal)) }
        cleaningQueue.async {
            while let last = self.state.withLock({ $0.cleanUps.popLast() }) { last.run() }
            self.terminate(ExitStatus.signal(signal))
            self.state.withLock { $0.hasTerminated = true }
        }
    }
}
