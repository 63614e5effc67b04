public import OrderedJSON

/// What a recovery did.
public struct RecoveryReport: Sendable, Equatable {
    /// The mean divergence from the dense model on tokens that were held out, in nats; equal if no step made it less,
    /// and the model is what it was.
    public let before: Double
    public let after: Double
    /// That of each step's tokens, before they were learnt.
    public let losses: [Double]
    public let tokenCount: Int

    public var json: JSON {
        [
            "steps": .integer(losses.count), "tokens": .integer(tokenCount), "divergence_before": .number(before),
            "divergence_after": .number(after), "losses": .array(losses.map(JSON.number)),
        ]
    }
}

/// How far a recovery is.
public struct RecoveryProgress: Sendable {
    public let step: Int
    /// nil while the first steps are timed.
    public let stepCount: Int?
    /// The divergence on what is held out, when it was last looked at.
    public let divergence: Double

    init(_ course: RecoveryCourse) {
        step = course.losses.count
        stepCount = course.stepCount
        divergence = course.looks.last?.loss ?? course.before
    }
}

/// How a training went so far, and what follows from that.
struct RecoveryCourse: Equatable {
    /// A look at what is held out, behind so many steps.
    struct Look: Equatable {
        let step: Int
        let loss: Double
    }

    /// The divergence before the first step.
    let before: Double
    /// Steps there will be; nil until the first ones are timed.
    private(set) var stepCount: Int?
    var losses: [Double] = []
    var looks: [Look] = []
    private var seconds = 0.0

    /// Steps that are timed; the learning rate does not depend on the number of steps yet.
    private static let timedSteps = 4
    /// Looks spread over the training, and the least steps between two: a look and the state that is written then take
    /// the time of one or two.
    private static let lookCount = 10
    private static let leastStepsBetweenLooks = 12
    private static let worse = 1.1

    init(_ length: RecoveryLength, before: Double) {
        self.before = before
        if case .steps(let count) = length { stepCount = count }
    }

    /// Decides how many steps there will be, once enough of them have been timed.
    mutating func plan(_ length: RecoveryLength, seconds: Double) {
        guard stepCount == nil, case .minutes(let minutes) = length else { return }
        // The first step meets cold memory.
        if losses.count > 1 { self.seconds += seconds }
        guard losses.count == Self.timedSteps else { return }
        let perStep = self.seconds / Double(Self.timedSteps - 1)
        let count = minutes * 60 / max(perStep, 1e-6) - Double(Self.lookCount)
        stepCount = max(Int(min(count, Double(RecoveryLength.limit))), Self.timedSteps)
    }

    var isTimeToLook: Bool {
        guard let stepCount else { return false }
        return losses.count == stepCount
            || losses.count % max(stepCount / Self.lookCount, Self.leastStepsBetweenLooks) == 0
    }

    /// The least divergence seen, that before the first step included: who has lost little may have nothing to gain.
    var best: Double { looks.map(\.loss).reduce(before, min) }

    /// Whether the student is at its best as it is.
    var isBest: Bool {
        guard let last = looks.last else { return losses.isEmpty }
        return last.step == losses.count && last.loss == best
    }

    /// All steps are taken, or two looks in a row were clearly worse than the best one. A little worse is what high
    /// rates in the middle of a training do, at times also worse than before the first step.
    var isOver: Bool {
        if let stepCount, losses.count >= stepCount { return true }
        guard looks.count > 2, let least = looks.map(\.loss).min() else { return false }
        return looks.suffix(2).allSatisfy { $0.loss > least * Self.worse }
    }

    var json: JSON {
        [
            "before": .number(before), "step_count": stepCount.map(JSON.integer) ?? .null, "seconds": .number(seconds),
            "losses": .array(losses.map(JSON.number)),
            "looks": .array(looks.map { ["step": .integer($0.step), "loss": .number($0.loss)] }),
        ]
    }

    /// Reads what ``json`` wrote; nil if it is something else.
    init?(_ text: String) {
        guard let json = try? JSON(parsing: Array(text.utf8)), let before = json["before"]?.doubleValue,
            let seconds = json["seconds"]?.doubleValue, let losses = json["losses"]?.arrayValue,
            let looks = json["looks"]?.arrayValue
        else { return nil }
        self.before = before
        self.seconds = seconds
        stepCount = json["step_count"]?.intValue
        self.losses = losses.compactMap(\.doubleValue)
        self.looks = looks.compactMap { look in
            guard let step = look["step"]?.intValue, let loss = look["loss"]?.doubleValue else { return nil }
            return Look(step: step, loss: loss)
        }
    }
}
