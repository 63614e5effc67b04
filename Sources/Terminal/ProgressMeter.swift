/// What a progress display counts.
public enum ProgressUnit: Sendable, Equatable {
    case bytes
    /// Things by their plural name: `.things("tokens")`.
    case things(String)

    func amount(_ count: Int) -> String {
        switch self {
        case .bytes: Format.bytes(count)
        case .things(let name): "\(count) \(name)"
        }
    }

    func share(_ completed: Int, of total: Int) -> String {
        switch self {
        case .bytes: "\(Format.bytes(completed)) of \(Format.bytes(total))"
        case .things(let name): "\(completed) of \(total) \(name)"
        }
    }

    func rate(_ perSecond: Double) -> String {
        switch self {
        case .bytes: Format.rate(bytesPerSecond: perSecond)
        case .things(let name): Format.rate(perSecond, of: name)
        }
    }
}

/// How far one piece of work has come, how fast it goes, and the line that says so. A value without a clock of its own.
struct ProgressMeter: Sendable {
    let label: String
    let unit: ProgressUnit
    private(set) var completed = 0
    private(set) var total: Int?
    /// Points on the way, oldest first: enough to tell the speed of the last few seconds rather than of the whole way,
    /// since downloads start slowly and then keep their pace.
    private var samples: [(seconds: Double, completed: Int)] = []

    /// The speed is that of the last five seconds, from samples a quarter of a second apart: 20 samples.
    private static let windowSeconds = 5.0
    private static let samplingSeconds = 0.25

    init(label: String, unit: ProgressUnit) {
        self.label = label.printable
        self.unit = unit
    }

    /// - Parameter seconds: the time of this report on any clock that does not go back.
    mutating func update(completed: Int, total: Int?, seconds: Double) {
        if completed < self.completed { samples.removeAll() }  // The work began anew.
        self.completed = max(completed, 0)
        self.total = total.flatMap { $0 > 0 ? $0 : nil }
        if let last = samples.last, seconds - last.seconds < Self.samplingSeconds { return }
        samples.append((seconds, self.completed))
        // The oldest sample kept is the last one that is older than the window.
        while samples.count > 2, seconds - samples[1].seconds >= Self.windowSeconds { samples.removeFirst() }
    }

    /// Units per second; nil until there is half a second to judge by.
    var perSecond: Double? {
        guard let first = samples.first, let last = samples.last else { return nil }
        let seconds = last.seconds - first.seconds
        return seconds >= 0.5 ? Double(last.completed - first.completed) / seconds : nil
    }

    /// Seconds left at the present speed; nil while that is not known.
    var remainingSeconds: Double? {
        guard let total, let perSecond, perSecond > 0, completed < total else { return nil }
        return Double(total - completed) / perSecond
    }

    /// One line of at most `columns - 1` cells: a full line would make some terminals wrap.
    ///
    /// What does not fit is left out, the least important first: time left, speed, amount, bar.
    func line(for traits: OutputTraits) -> String {
        let width = traits.columns - 1
        var parts = [label]
        if let total {
            let share = min(Double(completed) / Double(total), 1)
            let percentage = Format.percentage(share)
            parts.append(String(repeating: " ", count: max(0, 7 - percentage.count)) + percentage)
            let bar = Bar.text(share, cells: 20, allowsUnicode: traits.allowsUnicode)
            if joined(parts + [bar]).displayWidth <= width { parts.insert(bar, at: 1) }
        }
        var details = [total.map { unit.share(min(completed, $0), of: $0) } ?? unit.amount(completed)]
        if let perSecond { details.append(unit.rate(perSecond)) }
        if let remainingSeconds { details.append(Format.wholeDuration(seconds: remainingSeconds) + " left") }
        for detail in details {
            guard joined(parts + [detail]).displayWidth <= width else { break }
            parts.append(detail)
        }
        return joined(parts).truncated(toWidth: width, allowsUnicode: traits.allowsUnicode)
    }

    private func joined(_ parts: [String]) -> String { parts.joined(separator: "  ") }
}
