/// How rotary frequencies are stretched for contexts longer than a model was first trained with.
public enum RotaryScaling: Sendable, Equatable {
    case none
    /// Positions are divided by a factor.
    case linear(factor: Double)
    /// Long wavelengths are divided by a factor, short ones kept, those between interpolated.
    case llama3(factor: Double, lowFrequency: Double, highFrequency: Double, originalContext: Double)
    case yarn(Yarn)
    case longRope(LongRope)
    /// Nothing up to the model's context; beyond it every further token would change the base of all tokens before, so
    /// that no cache of rotated keys could serve: the decoder refuses those positions.
    case dynamic(factor: Double)

    /// Pairs that turn seldom within the original context are divided by a factor, those that turn often kept, those
    /// between interpolated by their index; and queries and keys grow a little.
    ///
    /// Source: Peng et al., "YaRN: Efficient Context Window Extension of Large Language Models", arXiv:2309.00071.
    public struct Yarn: Sendable, Equatable {
        public var factor: Double
        public var originalContext: Double
        /// Turns within the original context from which on a pair is kept, and up to which it is divided.
        public var fastTurns: Double
        public var slowTurns: Double
        /// Whether the places of these two among the pairs are rounded to whole ones, outwards.
        public var truncates: Bool
        /// What sines and cosines are multiplied with.
        public var attentionFactor: Double

        /// The share of each pair's frequency that is divided: `headSize / 2` elements, 0...1.
        func shares(headSize: Int, base: Double) -> [Double] {
            let width = Double(headSize)
            func place(_ turns: Double) -> Double {
                width * logarithm(originalContext / (turns * 2 * .pi)) / (2 * logarithm(base))
            }
            var (low, high) = (place(fastTurns), place(slowTurns))
            if truncates { (low, high) = (low.rounded(.down), high.rounded(.up)) }
            (low, high) = (max(low, 0), min(high, width - 1))
            // Where the two are one the ramp is a step, as it is in transformers.
            if low == high { high += 0.001 }
            return (0..<headSize / 2).map { pair in
                let share: Double = (Double(pair) - low) / (high - low)
                return min(max(share, 0), 1)
            }
        }
    }

    /// Each pair has a divisor of its own, one for sequences within the original context and one for longer ones; and
    /// queries and keys grow a little, in both.
    ///
    /// Which of the two holds is a matter of the whole sequence: transformers turns all positions of a prompt by the
    /// divisors that its length asks for, and so do we. A text that grows beyond the original context is therefore
    /// computed once more, with all its tokens: see ``Batch/lengths``.
    /// Source: Ding et al., "LongRoPE: Extending LLM Context Window Beyond 2 Million Tokens", arXiv:2402.13753.
    public struct LongRope: Sendable, Equatable {
        /// `headSize / 2` elements each.
        public var shortFactors: [Double]
        public var longFactors: [Double]
        public var originalContext: Int
        /// What sines and cosines are multiplied with.
        public var attentionFactor: Double
    }
}
