/// Repeated measurements of one quantity: what machines shared with others can honestly report.
public struct Spread: Sendable {
    public private(set) var samples: [Double] = []

    public init(_ samples: [Double] = []) { self.samples = samples }

    public mutating func add(_ sample: Double) { samples.append(sample) }

    /// - Precondition: at least one sample.
    public var median: Double { quantile(0.5) }
    public var lowerQuartile: Double { quantile(0.25) }
    public var upperQuartile: Double { quantile(0.75) }
    public var best: Double { samples.max() ?? .nan }

    /// Linear interpolation between the samples in order.
    private func quantile(_ share: Double) -> Double {
        precondition(!samples.isEmpty)
        let sorted = samples.sorted()
        let place = share * Double(sorted.count - 1)
        let low = Int(place)
        let high = min(low + 1, sorted.count - 1)
        return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
    }
}
