#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The search for the most zeros with which a model's perplexity stays within a bound. Every attempt is a model to
/// prune and to measure, so there are few.
///
/// The logarithm of perplexity over the dense model's grows about exponentially with the share of zeros. On that scale
/// the next attempt lies on a line: through the nearest attempts on both sides of the bound, or along a usual slope.
public struct PerplexitySearch: Sendable {
    private struct Attempt {
        let sparsity: Double
        let perplexity: Double
    }

    public let dense: Double
    public let limit: Double
    private var fitting: Attempt?
    private var failing: Attempt?
    private var count = 0

    static let attemptLimit = 6
    /// Sparsities are multiples of a two-hundredth.
    private static let steps = 200.0
    static let step = 1 / steps
    static let most = 0.95
    /// A fit this near to the bound is good enough.
    private static let nearness = 1.01
    /// Of SmolLM2 by SparseGPT, from 30 to 70 % zeros.
    private static let usualSlope = 6.0

    /// - Precondition: `dense` is positive and `limit` larger.
    public init(dense: Double, limit: Double) {
        precondition(dense > 0 && limit > dense)
        self.dense = dense
        self.limit = limit
    }

    /// The most zeros that were found to fit; nil if no attempt did.
    public var best: Double? { fitting?.sparsity }

    /// What to try next; nil at the end.
    public var next: Double? {
        guard count < Self.attemptLimit else { return nil }
        let guess: Double
        let room: ClosedRange<Double>
        switch (fitting, failing) {
        case (nil, nil): return 0.5
        case (let fitting?, nil):
            guard !isNear(fitting), fitting.sparsity < Self.most else { return nil }
            guess = fitting.sparsity + (height(limit) - height(fitting.perplexity)) / Self.usualSlope
            room = min(fitting.sparsity + 0.02, Self.most)...min(fitting.sparsity + 0.25, Self.most)
        case (nil, let failing?):
            guard failing.sparsity > Self.step else { return nil }
            guess = failing.sparsity - (height(failing.perplexity) - height(limit)) / Self.usualSlope
            room = Self.step...max(failing.sparsity - 0.02, Self.step)
        case (let fitting?, let failing?):
            guard !isNear(fitting), failing.sparsity - fitting.sparsity > 1.5 * Self.step else { return nil }
            let (low, high) = (height(fitting.perplexity), height(failing.perplexity))
            let share = high > low ? (height(limit) - low) / (high - low) : 0.5
            guess = fitting.sparsity + share * (failing.sparsity - fitting.sparsity)
            room = fitting.sparsity + Self.step...failing.sparsity - Self.step
        }
        let inRoom = min(max(guess, room.lowerBound), room.upperBound)
        return (inRoom * Self.steps).rounded() / Self.steps
    }

    /// What an attempt came to. NaN does not fit.
    public mutating func add(sparsity: Double, perplexity: Double) {
        count += 1
        if perplexity <= limit {
            if sparsity > fitting?.sparsity ?? -1 { fitting = Attempt(sparsity: sparsity, perplexity: perplexity) }
        } else if sparsity < failing?.sparsity ?? 2 {
            failing = Attempt(sparsity: sparsity, perplexity: perplexity)
        }
        // Measurements are noisy: what fits with more zeros than something that did not is believed.
        if let fits = fitting, let fails = failing, fits.sparsity >= fails.sparsity { failing = nil }
    }

    private func isNear(_ attempt: Attempt) -> Bool { limit / attempt.perplexity < Self.nearness }

    /// The scale on which perplexities lie on a line.
    private func height(_ perplexity: Double) -> Double {
        let nats = log(perplexity / dense)
        return log(nats.isNaN ? Self.mostNats : min(max(nats, Self.leastNats), Self.mostNats))
    }

    private static let leastNats = 1e-3
    private static let mostNats = 20.0
}
