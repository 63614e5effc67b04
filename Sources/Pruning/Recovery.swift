import Checkpoints
import LinearAlgebra
import Sparse
import Training
import Transformer

/// Trains a pruned model's layers on the dense model's distributions, until it has taken its steps or does not get
/// better any more on tokens that are held out.
///
/// Whoever interrupts it loses a minute: its state lies in the work folder.
struct Recovery {
    let dense: Checkpoint
    let configuration: ModelConfiguration
    private let texts: RecoveryTexts
    let length: RecoveryLength
    /// Of few bits, that weights keep having; nil for none.
    let values: ValueGrid?
    private let settings: Distiller.Settings
    let arithmetic: Arithmetic

    /// What is learnt from and held out.
    var calibration: CalibrationTokens { texts.calibration }

    /// What makes two trainings the same, the student aside.
    var fingerprint: String {
        let precision = arithmetic.precision == .float32 ? "f32" : "bf16"
        let kept = values.map { " \($0)" } ?? ""
        return "recovery 3 \(dense.path) \(length) \(settings.rate) \(calibration.checksum) \(precision)\(kept)"
    }

    private static let secondsBetweenStates = 60.0

    /// - Throws: `PruningError` if there are too few tokens to learn from.
    init(
        dense: Checkpoint, configuration: ModelConfiguration, calibration: CalibrationTokens, length: RecoveryLength,
        values: ValueGrid?, settings: Distiller.Settings = .init(), arithmetic: Arithmetic
    ) throws(PruningError) {
        self.dense = dense
        self.configuration = configuration
        texts = try RecoveryTexts(calibration)
        self.length = length
        self.values = values
        self.settings = settings
        self.arithmetic = arithmetic
    }

    /// Trains `layers` in place.
    /// - Parameters:
    ///   - work: where its state lies between two runs.
    ///   - progress: called after each step; throws to stop.
    /// - Throws: `CheckpointError`, also if an unfinished run with other settings is in the way.
    func run(
        _ layers: [LayerWeights], work: WorkFolder, progress: (RecoveryProgress) throws -> Void
    ) throws -> RecoveryReport {
        let distiller = try Distiller(
            student: layers, values: values, teacher: dense, configuration: configuration,
            sequences: texts.perStep, length: calibration.length, settings: settings,
            arithmetic: arithmetic)
        let probes = try texts.heldOut.map { try distiller.probe($0) }
        func look() throws -> Double { try probes.reduce(0.0) { $0 + (try distiller.loss($1)) } / Double(probes.count) }
        var course: RecoveryCourse
        if let notes = try work.readState(of: distiller, isBest: false), let kept = RecoveryCourse(notes) {
            course = kept
        } else {
            course = RecoveryCourse(length, before: try look())
            // The best one, until there is another.
            try work.writeState(of: distiller, notes: course.json.text(), isBest: true)
        }
        var saved = ContinuousClock.now
        try progress(RecoveryProgress(course))
        while !course.isOver {
            let start = ContinuousClock.now
            let batch = texts.batch(ofStep: course.losses.count)
            course.losses.append(try distiller.step(batch, of: course.stepCount ?? .max))
            course.plan(length, seconds: (ContinuousClock.now - start) / .seconds(1))
            if course.isTimeToLook {
                course.looks.append(RecoveryCourse.Look(step: course.losses.count, loss: try look()))
                if course.isBest {
                    try work.writeState(of: distiller, notes: course.json.text(), isBest: true)
                    saved = .now
                }
            } else if (ContinuousClock.now - saved) / .seconds(1) > Self.secondsBetweenStates {
                try work.writeState(of: distiller, notes: course.json.text(), isBest: false)
                saved = .now
            }
            try progress(RecoveryProgress(course))
        }
        if !course.isBest { try work.readState(of: distiller, isBest: true) }
        return RecoveryReport(
            before: course.before, after: course.best, losses: course.losses,
            tokenCount: course.losses.count * texts.perStep * calibration.length)
    }
}
