/// Which sequences a recovery holds out, and which ones its steps learn from.
struct RecoveryTexts {
    /// Of a step, about: short texts are many, which differ more than the parts of long ones.
    private static let stepTokens = 1024
    /// As many as so many steps take are held out.
    private static let heldOutSteps = 2

    let calibration: CalibrationTokens
    /// Sequences of one step.
    let perStep: Int

    /// - Throws: `PruningError` if there are too few to learn from.
    init(_ calibration: CalibrationTokens) throws(PruningError) {
        let least = Self.heldOutSteps + 1
        guard calibration.sequences.count >= least else {
            throw PruningError(
                "the texts to recover on", expected: "at least \(least) sequences, \(Self.heldOutSteps) to hold out",
                found: "\(calibration.sequences.count)")
        }
        self.calibration = calibration
        perStep = min(Self.perStep(length: calibration.length), calibration.sequences.count / least)
    }

    /// Of a number of tokens each.
    private static func perStep(length: Int) -> Int {
        CalibrationTokens.sequenceCount(tokens: stepTokens, length: length)
    }

    /// All sequences that so many steps take, none of them twice.
    static func count(steps: Int, length: Int) -> Int { (steps + heldOutSteps) * perStep(length: length) }

    private var learntCount: Int { calibration.sequences.count - Self.heldOutSteps * perStep }

    /// What a step learns from; all over again once all has been learnt.
    func batch(ofStep step: Int) -> [[Int32]] {
        (0..<perStep).map { calibration.sequences[(step * perStep + $0) % learntCount] }
    }

    /// What is held out, in batches as large as a step's.
    var heldOut: [[[Int32]]] {
        (0..<Self.heldOutSteps).map { batch in
            Array(calibration.sequences[learntCount + batch * perStep..<learntCount + (batch + 1) * perStep])
        }
    }
}
