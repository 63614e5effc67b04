import LinearAlgebra

/// Why a model cannot be pruned.
public struct PruningError: Error, Equatable, CustomStringConvertible {
    public let subject: String
    public let expected: String
    public let found: String

    public init(_ subject: String, expected: String, found: String) {
        self.subject = subject
        self.expected = expected
        self.found = found
    }

    public var description: String { "\(subject): expected \(expected), found \(found)" }

    /// Inputs whose products cannot be inverted.
    init(_ error: Cholesky.NotPositiveDefinite) {
        self.init("a layer's inputs", expected: "a positive definite matrix of products", found: "\(error)")
    }
}
