/// How fast the kernel of one kind multiplies weights that lie in cache, all threads together, measured at a few
/// densities and numbers of tokens.
public struct KernelSpeed: Sendable, Equatable {
    public let kind: ProductKind
    /// Shares of nonzeros, ascending; what is stored dense has one, 1.
    public let densities: [Double]
    /// Tokens of a product, ascending.
    public let tokens: [Int]
    /// `[densities, tokens]`: elements of the matrix in a second, zeros included.
    public let weightsPerSecond: [[Double]]

    /// What no real machine reaches: beyond it sums of predicted times would lose their meaning.
    static let speeds = 1.0...1e15
    private static let axisLimit = 64

    /// - Throws: ``ProfileError`` if an axis is empty, too long, does not ascend or leaves its range, or a speed is
    ///   missing or absurd.
    public init(
        kind: ProductKind, densities: [Double], tokens: [Int], weightsPerSecond: [[Double]]
    ) throws(ProfileError) {
        let name = "\(kind.format.rawValue) \(kind.valuesName)"
        func require(_ condition: Bool, _ subject: String, _ expected: String, _ found: String) throws(ProfileError) {
            if !condition { throw ProfileError("\(subject) of \(name)", expected: expected, found: found) }
        }
        try require(
            (1...Self.axisLimit).contains(densities.count), "densities", "1 to \(Self.axisLimit)", "\(densities.count)")
        try require(
            densities.allSatisfy { $0 > 0 && $0 <= 1 } && zip(densities, densities.dropFirst()).allSatisfy(<),
            "densities", "ascending shares above 0, up to 1", "\(densities)")
        try require((1...Self.axisLimit).contains(tokens.count), "tokens", "1 to \(Self.axisLimit)", "\(tokens.count)")
        try require(
            tokens.allSatisfy { (1...65536).contains($0) } && zip(tokens, tokens.dropFirst()).allSatisfy(<), "tokens",
            "ascending numbers from 1 to 65536", "\(tokens)")
        try require(
            weightsPerSecond.count == densities.count, "speeds", "a row for each of \(densities.count) densities",
            "\(weightsPerSecond.count)")
        for row in weightsPerSecond {
            try require(row.count == tokens.count, "speeds", "one for each of \(tokens.count) tokens", "\(row.count)")
            for speed in row {
                try require(
                    Self.speeds.contains(speed), "speeds", "\(Self.speeds.lowerBound) to \(Self.speeds.upperBound)",
                    "\(speed)")
            }
        }
        self.kind = kind
        self.densities = densities
        self.tokens = tokens
        self.weightsPerSecond = weightsPerSecond
    }

    /// Seconds for one element of a matrix with this share of nonzeros, multiplied with so many tokens.
    ///
    /// Time, not speed, is linear between the measured densities and tokens: a kernel's work is a constant and a part
    /// for every nonzero and token. Outside the measured densities it is the nearest one's; more tokens than were
    /// measured take proportionally longer. More tokens never take less time, whatever the noise of a measurement.
    public func secondsPerWeight(density: Double, tokens count: Int) -> Double {
        var times: [Double] = []
        for column in tokens.indices {
            times.append(max(seconds(density: density, column: column), times.last ?? 0))
        }
        guard let next = tokens.firstIndex(where: { $0 >= count }) else {
            return times[times.count - 1] * Double(count) / Double(tokens[tokens.count - 1])
        }
        if next == 0 { return times[0] }
        let share = Double(count - tokens[next - 1]) / Double(tokens[next] - tokens[next - 1])
        return times[next - 1] + (times[next] - times[next - 1]) * share
    }

    private func seconds(density: Double, column: Int) -> Double {
        func time(_ row: Int) -> Double { 1 / weightsPerSecond[row][column] }
        guard let next = densities.firstIndex(where: { $0 >= density }) else { return time(densities.count - 1) }
        if next == 0 { return time(0) }
        let share = (density - densities[next - 1]) / (densities[next] - densities[next - 1])
        return time(next - 1) + (time(next) - time(next - 1)) * share
    }
}
