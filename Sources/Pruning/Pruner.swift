public import Tensors

/// A weight matrix `[rows, columns]` that is being pruned, float32, row-major.
public struct PrunableMatrix {
    public let rows: Int
    public let columns: Int
    public let weights: UnsafeMutableBufferPointer<Float>

    public init(rows: Int, columns: Int, weights: UnsafeMutableBufferPointer<Float>) {
        precondition(rows >= 1 && columns >= 1 && weights.count == rows * columns)
        self.rows = rows
        self.columns = columns
        self.weights = weights
    }
}

/// A pruning method: decides which weights of one matrix become zero, and may move the others.
///
/// Knows nothing of models and families; it sees a matrix. Methods that look at a matrix's inputs get their statistics
/// when they are made.
public protocol Pruner: Sendable {
    /// Sets weights to zero, about the share `sparsity` of them (0..<1). Weights that are zero already count.
    func prune(_ matrix: PrunableMatrix, sparsity: Double, pool: WorkerPool)
}

/// The methods by the names that people type.
public enum PruningMethod: String, Sendable, CaseIterable {
    case magnitude

    /// One line for help texts.
    public var summary: String {
        switch self {
        case .magnitude: "zero the smallest weights of every output row; needs no data"
        }
    }

    public func makePruner() -> any Pruner {
        switch self {
        case .magnitude: MagnitudePruner()
        }
    }
}
