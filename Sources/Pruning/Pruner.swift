public import LinearAlgebra

/// A pruning method: decides which weights of one matrix become zero, and may move the others.
///
/// Knows nothing of models and families; it sees a matrix and what its inputs were like.
public protocol Pruner: Sendable {
    /// What it wants to know of the inputs.
    var needs: InputStatistics.Kind { get }

    /// Sets weights to zero, the target's share of them in each group of its structure, to one element. Weights that
    /// are zero already count.
    /// - Parameters:
    ///   - weights: `[outputs, inputs]`, finite.
    ///   - inputs: of at least the kind that ``needs`` names; nil if that is nothing.
    func prune(
        _ weights: Matrix, inputs: InputStatistics?, target: PruningTarget, arithmetic: Arithmetic
    ) throws(PruningError)
}

/// The methods by the names that people type.
public enum PruningMethod: String, Sendable, CaseIterable {
    case magnitude
    case wanda
    case sparsegpt
    case alps

    /// One line for help texts.
    public var summary: String {
        switch self {
        case .magnitude: "zero the smallest weights of every output row; needs no data"
        case .wanda: "zero the smallest products of weight and input norm in every output row"
        case .sparsegpt: "choose by what the layer's output loses, and move the other weights to make up for it"
        case .alps: "search for zeros and weights at once; the best of these, in three times the time"
        }
    }

    public func makePruner() -> any Pruner {
        switch self {
        case .magnitude: MagnitudePruner()
        case .wanda: WandaPruner()
        case .sparsegpt: SparseGPTPruner()
        case .alps: ALPSPruner()
        }
    }
}
