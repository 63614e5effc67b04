public import LinearAlgebra
public import Transformer

/// The activations of some tokens within one layer; what a step writes, the next one reads.
public struct LayerBuffers: Sendable {
    /// `[tokens, hiddenSize]`: a norm's output, or a product on its way to the residual stream.
    public let normalized: Matrix
    public let change: Matrix
    /// `[tokens, queryWidth]`
    public let queries: Matrix
    public let attended: Matrix
    /// `[tokens, keyValueWidth]`
    public let keys: Matrix
    public let values: Matrix
    /// `[tokens, intermediateSize]`
    public let gate: Matrix
    public let up: Matrix
    /// Queries and keys before the norms of heads, for who goes back through these; nil where nobody wants them.
    let unnormalized: (queries: Matrix, keys: Matrix)?

    /// - Parameter keepsHeads: whether queries and keys are kept as they were before norms of heads.
    public init(_ configuration: ModelConfiguration, tokens: Int, keepsHeads: Bool = false) {
        func matrix(_ columns: Int) -> Matrix { Matrix(uninitializedRows: tokens, columns: columns) }
        normalized = matrix(configuration.hiddenSize)
        change = matrix(configuration.hiddenSize)
        queries = matrix(configuration.queryWidth)
        attended = matrix(configuration.queryWidth)
        keys = matrix(configuration.keyValueWidth)
        values = matrix(configuration.keyValueWidth)
        gate = matrix(configuration.intermediateSize)
        up = matrix(configuration.intermediateSize)
        unnormalized =
            keepsHeads && configuration.family.queryNorm != nil
            ? (matrix(configuration.queryWidth), matrix(configuration.keyValueWidth)) : nil
    }

    public var tokens: Int { normalized.rows }
}
