import Synchronization

/// A line on standard error that shows how far a long piece of work has come, and that is gone when the work is done.
///
/// Nothing is written where the output is no terminal. The line is redrawn at most ten times a second, so `update` may
/// be called as often as is convenient, from any thread. Work in several steps reports each under its own label.
///
///     let progress = ProgressReporter(traits: traits)
///     defer { progress.finish() }
///     for (index, layer) in layers.enumerated() {
///         progress.update("pruning", completed: index, of: layers.count, unit: .things("layers"))
///         ...
///     }
public final class ProgressReporter: Sendable {
    /// Ten times a second looks smooth and costs nothing.
    static let redrawSeconds = 0.1

    private struct State: Sendable {
        var meter: ProgressMeter?
        var drawnAtSeconds: Double?
    }

    private let traits: OutputTraits
    private let sink: TextSink
    private let now: @Sendable () -> Double
    private let state = Mutex(State())

    /// - Parameter traits: those of standard error.
    public convenience init(traits: OutputTraits) {
        let start = ContinuousClock.now
        self.init(traits: traits, sink: .standardError) { (ContinuousClock.now - start) / .seconds(1) }
    }

    /// - Parameter now: seconds on a clock that does not go back.
    public init(traits: OutputTraits, sink: TextSink, now: @escaping @Sendable () -> Double) {
        self.traits = traits
        self.sink = sink
        self.now = now
    }

    deinit { finish() }

    /// Says that `completed` of `total` units of the work called `label` are done. Without a total, only the amount
    /// and the speed are shown.
    public func update(_ label: String, completed: Int, of total: Int? = nil, unit: ProgressUnit) {
        guard traits.isTerminal else { return }
        let seconds = now()
        // Written while locked, or lines of several threads would land in each other.
        state.withLock { state in
            var meter = state.meter
            if meter?.label != label || meter?.unit != unit {
                meter = ProgressMeter(label: label, unit: unit)
                state.drawnAtSeconds = nil
            }
            meter?.update(completed: completed, total: total, seconds: seconds)
            state.meter = meter
            if let drawn = state.drawnAtSeconds, seconds - drawn < Self.redrawSeconds { return }
            state.drawnAtSeconds = seconds
            if let meter { sink.write("\r" + meter.line(for: traits) + "\u{1B}[K") }
        }
    }

    /// Prints a line of its own above the progress line. Where the output is no terminal it is printed just so.
    public func note(_ text: String) {
        state.withLock { state in
            clear(&state)
            sink.write(text.printable + "\n")
        }
    }

    /// Wipes the line. A later `update` draws a new one.
    public func finish() { state.withLock { clear(&$0) } }

    private func clear(_ state: inout State) {
        if state.drawnAtSeconds != nil { sink.write("\r\u{1B}[K") }
        state.drawnAtSeconds = nil
        state.meter = nil
    }
}
