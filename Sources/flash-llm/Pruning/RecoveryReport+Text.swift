import Pruning
import Terminal

extension RecoveryReport {
    /// One line for people.
    var summary: String {
        let steps = "\(losses.count) steps of \(tokenCount / max(losses.count, 1)) tokens"
        let divergence = "divergence from the dense model \(Format.fixed(before, decimals: 3))"
        if after == before {
            return "nothing was gained in \(steps), and the model left as it was: \(divergence) nats a token, held out"
        }
        return "recovered in \(steps): \(divergence) -> \(Format.fixed(after, decimals: 3)) nats a token, held out"
    }
}

extension ProgressReporter {
    /// Says how far a pruning is.
    func update(_ progress: ModelPruner.Progress, of model: String) {
        switch progress {
        case .allocation(let done, let count):
            update("looking at \(model)", completed: done, of: count, unit: .things("steps"))
        case .pruning(let done, let count):
            update("pruning \(model)", completed: done, of: count, unit: .things("matrices"))
        case .recovery(let course): update(course, of: model)
        case .rounding(let done, let count):
            update("rounding \(model)", completed: done, of: count, unit: .things("matrices"))
        }
    }

    /// Says how far a recovery is.
    func update(_ progress: RecoveryProgress, of model: String) {
        update(
            "recovering \(model), divergence \(Format.fixed(progress.divergence, decimals: 3))",
            completed: progress.step, of: progress.stepCount, unit: .things("steps"))
    }
}
