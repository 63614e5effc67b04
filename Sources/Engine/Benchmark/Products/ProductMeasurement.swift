/// How fast one candidate multiplied in every round, with the ceilings that were measured in the same rounds.
public struct ProductMeasurement: Sendable {
    public let shape: ProductShape
    /// Share of zeros.
    public let sparsity: Double
    /// The candidate's name.
    public let format: String
    public let isDense: Bool
    public let isInteger: Bool
    public let tokens: Int
    public let threads: Int
    /// Stored bytes, scales and all, per element of the matrix, zeros included.
    public let bytesPerWeight: Double
    /// Bytes of all copies that were walked over.
    public let workingSetByteCount: Int
    /// Elements, zeros included, that passed in a second. A round each, as all that follow.
    public internal(set) var weightsPerSecond = Spread()
    /// Bytes that plain loads read in a second.
    public internal(set) var bandwidth = Spread()
    /// Elements in a second from a working set that lies in the second-level cache: what the instructions allow.
    public internal(set) var residentWeightsPerSecond = Spread()

    /// Stored bytes that passed in a second.
    public var compressedBytesPerSecond: Spread {
        Spread(weightsPerSecond.samples.map { $0 * bytesPerWeight })
    }

    /// Share of the bandwidth of its round.
    public var bandwidthShare: Spread {
        Spread(zip(compressedBytesPerSecond.samples, bandwidth.samples).map { $0 / $1 })
    }

    /// Share of the speed of the same kernel on weights in cache.
    public var computeShare: Spread {
        Spread(zip(weightsPerSecond.samples, residentWeightsPerSecond.samples).map { $0 / $1 })
    }

    /// Share of the lower of the two ceilings.
    public var boundShare: Spread {
        Spread(zip(bandwidthShare.samples, computeShare.samples).map { max($0, $1) })
    }

    /// Speed as a multiple of another measurement's, round by round.
    public func ratio(to other: ProductMeasurement) -> Spread {
        Spread(zip(weightsPerSecond.samples, other.weightsPerSecond.samples).map { $0 / $1 })
    }

    /// Whether both were measured in turns: the same matrix, tokens and threads.
    public func isComparable(to other: ProductMeasurement) -> Bool {
        shape == other.shape && sparsity == other.sparsity && tokens == other.tokens && threads == other.threads
    }
}
