/// Where a method's zeros may be: the groups of weights of which each has its own share of zeros.
public enum MaskStructure: Sendable, Equatable {
    /// What the method's authors do.
    case automatic
    /// Every output row.
    case row
    /// The whole matrix.
    case matrix
    /// `zeros` of every `size` neighbours in a row, as in 2:4. A row's last, shorter group loses the same share,
    /// rounded down.
    case pattern(zeros: Int, of: Int)

    /// Parses "auto", "row", "matrix" or "N:M", where N of M are zero.
    public init?(_ text: some StringProtocol) {
        switch text {
        case "auto": self = .automatic
        case "row": self = .row
        case "matrix": self = .matrix
        default:
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let zeros = Int(parts[0]), let size = Int(parts[1]), zeros >= 1, size > zeros,
                size <= Self.largestPattern
            else { return nil }
            self = .pattern(zeros: zeros, of: size)
        }
    }

    static let largestPattern = 64

    /// The share of zeros that a pattern is; nil for what leaves it open.
    public var sparsity: Double? {
        if case .pattern(let zeros, let size) = self { Double(zeros) / Double(size) } else { nil }
    }
}

/// What a method is asked for.
public struct PruningTarget: Sendable, Equatable {
    /// The share of zeros, 0..<1. A pattern has its own.
    public let sparsity: Double
    public let structure: MaskStructure

    public init(sparsity: Double, structure: MaskStructure = .automatic) {
        precondition(sparsity >= 0 && sparsity < 1, "sparsity \(sparsity)")
        self.sparsity = structure.sparsity ?? sparsity
        self.structure = structure
    }

    /// Zeros among `count` weights that share a threshold.
    func zeroCount(of count: Int) -> Int { Int((sparsity * Double(count)).rounded()) }

    /// The same target where the method's own structure is `structure`.
    func resolved(_ structure: MaskStructure) -> PruningTarget {
        self.structure == .automatic ? PruningTarget(sparsity: sparsity, structure: structure) : self
    }
}
