/// Predicts how long products take on a measured machine, and chooses formats by it.
///
/// A product takes as long as the slower of two things that overlap: its stored bytes come from memory, and its
/// instructions run:
///
///     seconds = max(stored bytes / bandwidth, weights / speed in cache)
///
/// The first rules for one token and little sparsity, the second for prompts and where a kernel's expansion is slow.
public struct CostModel: Sendable, Equatable {
    public let profile: MachineProfile
    /// Tokens of the products that shall be fast; what is compared is the mean of the times relative to the fastest.
    public let tokenCounts: [Int]

    /// Differences of time that measurements on a machine shared with others cannot tell apart.
    public static let tolerance = 0.03
    public static let tokenCountLimit = 4096

    /// - Precondition: there are token counts, each in `1...tokenCountLimit`.
    public init(profile: MachineProfile, tokenCounts: [Int] = [1]) {
        precondition(!tokenCounts.isEmpty && tokenCounts.allSatisfy { (1...Self.tokenCountLimit).contains($0) })
        self.profile = profile
        self.tokenCounts = tokenCounts
    }

    /// The predicted time of one product with a matrix.
    /// - Parameters:
    ///   - weights: elements of the matrix, zeros included.
    ///   - density: share of nonzeros; that of the integers where values are integers.
    public func cost(
        of kind: ProductKind, byteCount: Int, weights: Int, density: Double, tokens: Int
    ) -> ProductCost {
        let memory = Double(byteCount) / profile.bytesPerSecond
        let arithmetic = Double(weights) * profile[kind].secondsPerWeight(density: density, tokens: tokens)
        return ProductCost(seconds: max(memory, arithmetic), bound: memory >= arithmetic ? .memory : .arithmetic)
    }

    /// Chooses the format of a matrix.
    /// - Parameters:
    ///   - sizes: the candidates' formats and stored bytes; at least one. Of those that are equally fast within
    ///     ``tolerance`` the smallest is taken, of equally small ones the first.
    ///   - coding: nil for 16-bit floats.
    public func decide(
        sizes: [(format: PackedFormat, byteCount: Int)], coding: QuantizedCoding?, weights: Int, nonzeroCount: Int
    ) -> FormatDecision {
        let density = Double(nonzeroCount) / Double(max(weights, 1))
        let options = sizes.map { format, byteCount in
            let kind = ProductKind(format: format, coding: coding)
            let costs = tokenCounts.map {
                cost(of: kind, byteCount: byteCount, weights: weights, density: density, tokens: $0)
            }
            return (format: format, byteCount: byteCount, costs: costs)
        }
        return FormatDecision(tokenCounts: tokenCounts, options: options, tolerance: Self.tolerance)
    }
}
