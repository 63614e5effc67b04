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

    /// Sequences of so many tokens to learn from, none of them twice if there are so many steps, and those to hold out.
    ///
    /// Minutes are thought to be 150 steps at most: more texts are not worth the time to write them.
    public func sequenceCount(ofLength length: Int) -> Int {
        switch self {
        case .steps(let count): RecoveryTexts.count(steps: count, length: length)
        case .minutes(let minutes): RecoveryTexts.count(steps: max(Int(min(minutes * 10, 150)), 6), length: length)
        }
    }
}
