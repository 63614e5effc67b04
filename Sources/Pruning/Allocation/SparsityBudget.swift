/// What a pruned and packed model may take, from which follows how many zeros it needs.
public struct SparsityBudget {
    public enum Limit: Sendable, Equatable {
        /// All weights, embedding and head included.
        case bytes(Int)
        /// A step of one token.
        case seconds(Double)
    }

    public let limit: Limit
    private let estimate: PackedEstimate
    /// What a step takes besides its products.
    private let overheadSeconds: Double

    /// Nothing is left of a model with more zeros.
    static let mostSparsity = 0.98
    /// Shares are found to a thousandth.
    private static let steps = 1000

    /// - Parameter overheadSeconds: what a step takes besides its products, on this machine.
    public init(_ limit: Limit, estimate: PackedEstimate, overheadSeconds: Double = 0) {
        self.limit = limit
        self.estimate = estimate
        self.overheadSeconds = overheadSeconds
    }

    /// The least share of zeros that fits, the same in all matrices.
    /// - Throws: `PruningError` if the model fits as it is, or does not fit with hardly anything left; `SparseError`.
    public func uniformSparsity() throws -> Double { try sparsity(estimate.uniform) }

    /// The least share of zeros that fits when it is spread in some way.
    /// - Parameter plan: for a share of zeros, those of the matrices.
    func sparsity(_ plan: (Double) -> SparsityPlan) throws -> Double {
        func planned(_ step: Int) -> SparsityPlan { plan(Double(step) / Double(Self.steps)) }
        var (tooFew, enough) = (0, Int(Self.mostSparsity * Double(Self.steps)))
        let (dense, least) = (try taken(by: planned(tooFew)), try taken(by: planned(enough)))
        guard dense > allowed else {
            throw PruningError(
                "the budget", expected: "less than \(text(dense)), which the model takes without pruning",
                found: text(allowed))
        }
        guard least <= allowed else {
            throw PruningError(
                "the budget", expected: "at least \(text(least)), which the model takes with 98 % zeros",
                found: text(allowed))
        }
        while enough - tooFew > 1 {
            let middle = (tooFew + enough) / 2
            if try taken(by: planned(middle)) <= allowed { enough = middle } else { tooFew = middle }
        }
        return Double(enough) / Double(Self.steps)
    }

    /// Bytes or seconds.
    private var allowed: Double {
        switch limit {
        case .bytes(let count): Double(count)
        case .seconds(let seconds): seconds
        }
    }

    private func taken(by plan: SparsityPlan) throws -> Double {
        let size = try estimate.size(of: plan)
        return switch limit {
        case .bytes: size.byteCount
        case .seconds: size.seconds + overheadSeconds
        }
    }

    private func text(_ amount: Double) -> String {
        switch limit {
        case .bytes: "\(Int(amount.rounded())) bytes"
        case .seconds: "\((amount * 1e6).rounded() / 1000) ms a token"
        }
    }
}
