public import Engine

/// How fast one product ran in every round, with the bandwidth that was measured in the same rounds.
public struct GPUProductMeasurement: Sendable {
    /// What ratios are to, where it is there: the name of cuBLAS in results.
    public static let baseline = "cublas"
    /// What takes its place where it is not.
    public static let ownBaseline = "dense"

    public let shape: ProductShape
    /// Share of zeros.
    public let sparsity: Double
    public let tokens: Int
    /// A layout of ours, "cublas", "cusparse", or a peer's name.
    public let product: String
    public let isDense: Bool
    /// What a product reads of the weights.
    public let storedByteCount: Int
    /// Copies of the matrix that were walked over in turn.
    public let copies: Int
    /// The first result's largest difference from the baseline's, in units of what is allowed.
    public let error: Double
    /// Seconds of one product. A round each, as what follows.
    public internal(set) var seconds = Spread()
    /// Bytes that plain loads read in a second.
    public internal(set) var bandwidth = Spread()

    /// Stored bytes of the weights that passed in a second.
    public var compressedBytesPerSecond: Spread { Spread(seconds.samples.map { Double(storedByteCount) / $0 }) }

    /// Share of the bandwidth of its round.
    public var bandwidthShare: Spread {
        Spread(zip(compressedBytesPerSecond.samples, bandwidth.samples).map { $0 / $1 })
    }

    /// Speed as a multiple of another measurement's, round by round.
    public func ratio(to other: GPUProductMeasurement) -> Spread {
        Spread(zip(other.seconds.samples, seconds.samples).map { $0 / $1 })
    }

    /// Whether both were measured in turns: the same matrix and tokens.
    public func isComparable(to other: GPUProductMeasurement) -> Bool {
        shape == other.shape && sparsity == other.sparsity && tokens == other.tokens
    }
}

/// Everything that a benchmark of products on a GPU found.
public struct GPUProductReport: Sendable {
    public internal(set) var measurements: [GPUProductMeasurement] = []
    /// What gave wrong results or failed, a sentence each; it was not measured.
    public internal(set) var failures: [String] = []
    /// Bytes per second that plain loads read, of all rounds.
    public internal(set) var bandwidth = Spread()
    /// Whether the time was over before everything was measured.
    public internal(set) var isCutShort = false
    /// Seconds that encoding and copying the matrices took, all together.
    public internal(set) var preparationSeconds = 0.0
}
