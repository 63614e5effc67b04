#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// What a GGUF file says of a decoder besides its tensors. Configurations spell it in many ways, or leave it to their
/// family; whoever writes a file has read them.
public struct GGUFTraits: Sendable {
    /// How rotary frequencies are stretched.
    public enum Scaling: Sendable, Equatable {
        case none
        /// Positions are divided by a factor.
        case linear(Double)
        /// What each frequency is divided by, half of a head's size.
        case factors([Float])
        case yarn(factor: Double, originalContext: Int, fastTurns: Double, slowTurns: Double, attentionFactor: Double)
        /// Divisors of sequences within the original context, and of longer ones.
        case longRope(short: [Float], long: [Float], originalContext: Int, attentionFactor: Double)

        enum Kind: String, Sendable, CaseIterable { case none, linear, factors, yarn, longRope }

        var kind: Kind {
            switch self {
            case .none: .none
            case .linear: .linear
            case .factors: .factors
            case .yarn: .yarn
            case .longRope: .longRope
            }
        }
    }

    public struct Rotary: Sendable {
        public var base: Double
        public var scaling: Scaling

        public init(base: Double, scaling: Scaling = .none) {
            self.base = base
            self.scaling = scaling
        }
    }

    public struct Sizes: Sendable {
        public var hidden = 0
        public var intermediate = 0
        public var layers = 0
        public var heads = 0
        public var keyValueHeads = 0
        public var head = 0
        public var vocabulary = 0
        public var context = 0

        public init() {}
    }

    /// How layers look at those before.
    public struct Attention: Sendable {
        /// How many of the last tokens each layer looks at, be they more than there can be; nil for all.
        public var windows: [Int?]
        /// How layers with a window rotate, where they do so otherwise.
        public var windowRotary: Rotary?
        /// Whether each layer rotates queries and keys.
        public var rotates: [Bool]
        /// What products of queries and keys are multiplied with.
        public var scale: Double
        /// Soft caps of these products, and of the logits.
        public var cap: Double?
        public var logitCap: Double?

        public init(windows: [Int?], windowRotary: Rotary?, rotates: [Bool], scale: Double) {
            self.windows = windows
            self.windowRotary = windowRotary
            self.rotates = rotates
            self.scale = scale
        }
    }

    public var sizes: Sizes
    public var normEpsilon: Double
    /// Of the MLP, as config.json has it.
    public var activation: String
    /// nil where positions are learned.
    public var rotary: Rotary?
    public var attention: Attention
    /// Whether the head is the embedding table.
    public var tiesHead: Bool

    public init(
        sizes: Sizes, normEpsilon: Double, activation: String, rotary: Rotary?, attention: Attention, tiesHead: Bool
    ) {
        self.sizes = sizes
        self.normEpsilon = normEpsilon
        self.activation = activation
        self.rotary = rotary
        self.attention = attention
        self.tiesHead = tiesHead
    }

    /// What llama.cpp multiplies sines and cosines of YaRN with by itself.
    static func yarnGrowth(_ factor: Double, _ share: Double = 1) -> Double {
        factor <= 1 ? 1 : 0.1 * share * log(factor) + 1
    }
}

/// GGUF's tensors of divisors of rotary frequencies, each of half a head's size.
enum RotaryTensors {
    static let factors = "rope_freqs.weight"
    static let short = "rope_factors_short.weight"
    static let long = "rope_factors_long.weight"
}
