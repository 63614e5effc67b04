/// What a product waits for.
public enum ProductBound: String, Sendable {
    /// Its weights come from memory more slowly than they are multiplied.
    case memory
    /// Its instructions take longer than its weights take to come.
    case arithmetic
}

/// The predicted time of one product.
public struct ProductCost: Sendable, Equatable {
    public let seconds: Double
    public let bound: ProductBound
}

/// Why a matrix has its format, in short: what a packed folder writes down.
public struct ChoiceReason: Sendable, Equatable {
    /// What the product waits for in the chosen format.
    public let bound: ProductBound
    /// Dense's predicted time over that of the chosen format, for the first of the token counts asked for.
    public let speedUp: Double

    /// What a predicted speed-up can be; beyond it something is wrong.
    public static let speedUps = 1e-6...1e6

    /// - Returns: nil for a speed-up out of range.
    public init?(bound: ProductBound, speedUp: Double) {
        guard Self.speedUps.contains(speedUp) else { return nil }
        self.bound = bound
        self.speedUp = speedUp
    }
}

/// The choice of a matrix's format with everything it was made from.
public struct FormatDecision: Sendable, Equatable {
    public struct Candidate: Sendable, Equatable {
        public let format: PackedFormat
        public let byteCount: Int
        /// For each of the token counts.
        public let costs: [ProductCost]
        /// Time relative to the fastest candidate's, averaged over the token counts: 1 for what is always the fastest.
        public let relativeTime: Double
    }

    public let tokenCounts: [Int]
    /// The chosen one first, the others by their relative time.
    public let candidates: [Candidate]

    /// - Parameter tolerance: candidates whose relative time is worse by this share at most count as equally fast, and
    ///   the smallest of them is chosen.
    init(tokenCounts: [Int], options: [(format: PackedFormat, byteCount: Int, costs: [ProductCost])], tolerance: Double)
    {
        precondition(!tokenCounts.isEmpty && !options.isEmpty)
        let fastest = tokenCounts.indices.map { index in options.map { $0.costs[index].seconds }.min()! }
        let unordered = options.map { option in
            let ratios = zip(option.costs, fastest).map { $0.seconds / $1 }
            return Candidate(
                format: option.format, byteCount: option.byteCount, costs: option.costs,
                relativeTime: ratios.reduce(0, +) / Double(ratios.count))
        }
        // Stable: equals stay in the order of the formats.
        var sorted = unordered.enumerated().sorted {
            ($0.element.relativeTime, $0.offset) < ($1.element.relativeTime, $1.offset)
        }.map(\.element)
        let limit = sorted[0].relativeTime * (1 + tolerance)
        let tied = sorted.indices.filter { sorted[$0].relativeTime <= limit }
        let chosen = tied.min { (sorted[$0].byteCount, $0) < (sorted[$1].byteCount, $1) }!
        sorted.insert(sorted.remove(at: chosen), at: 0)
        self.tokenCounts = tokenCounts
        candidates = sorted
    }

    public var chosen: Candidate { candidates[0] }

    /// The dense one, which every choice is compared with.
    public var dense: Candidate? { candidates.first { $0.format == .dense } }

    /// nil if dense was no candidate.
    public var reason: ChoiceReason? {
        guard let dense else { return nil }
        return ChoiceReason(
            bound: chosen.costs[0].bound, speedUp: dense.costs[0].seconds / chosen.costs[0].seconds)
    }
}
