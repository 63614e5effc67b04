/// How long to train what pruning left.
public enum RecoveryLength: Sendable, Equatable, CustomStringConvertible {
    case steps(Int)
    /// As many steps as take this long, by the time that the first ones took.
    case minutes(Double)

    static let limit = 1_000_000

    /// Parses a number of steps, "200", or minutes, "15m".
    public init?(_ text: String) {
        if text.hasSuffix("m") {
            guard let minutes = Double(text.dropLast()), minutes > 0, minutes <= Double(Self.limit) else { return nil }
            self = .minutes(minutes)
        } else {
            guard let steps = Int(text), (1...Self.limit).contains(steps) else { return nil }
            self = .steps(steps)
        }
    }

    public var description: String {
        switch self {
        case .steps(let count): "\(count)"
        case .minutes(let minutes): "\(minutes)m"
        }
    }

    /// Sequences to learn from, none of them twice if there are so many steps, and those to hold out.
    ///
    /// Minutes are thought to be 300 sequences at most: more are not worth the time to write them.
    public var sequenceCount: Int {
        switch self {
        case .steps(let count): count * Recovery.sequencesPerStep + Recovery.heldOutSequences
        case .minutes(let minutes): max(min(Int(minutes * 20), 300), 16)
        }
    }
}
