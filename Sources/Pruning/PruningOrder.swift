/// Which weights give the inputs that a matrix is fitted to.
public enum PruningOrder: String, Sendable, CaseIterable {
    /// Those before it in its layer as they are once pruned ("true-sequential"): what it will really get.
    case matrix
    /// The dense ones of its layer; layers before it are pruned. Takes twice the time; what Wanda's authors do.
    case layer
}
