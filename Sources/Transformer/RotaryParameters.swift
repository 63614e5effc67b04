/// The frequencies of the rotary position embedding and how they are stretched for long contexts.
///
/// Source: Su et al., RoFormer, arXiv:2104.09864; scaling "llama3" as published with Llama 3.1.
public struct RotaryParameters: Sendable, Equatable {
    public let base: Double
    public let scaling: RotaryScaling

    /// Radians per position of each pair: `headSize / 2` elements.
    /// - Parameters:
    ///   - factors: what each frequency is divided by besides (GGUF's `rope_freqs.weight`, which holds the result of
    ///     the llama3 rule), or nil.
    ///   - isLong: what ``isLong(_:)`` says of the sequence.
    public func frequencies(headSize: Int, factors: [Float]? = nil, isLong: Bool = false) -> [Double] {
        let plain = (0..<headSize / 2).map { power(base, -2 * Double($0) / Double(headSize)) }
        if let factors { return zip(plain, factors).map { $0 / Double($1) } }
        switch scaling {
        case .none, .dynamic: return plain
        case .linear(let factor): return plain.map { $0 / factor }
        case .llama3(let factor, let low, let high, let context):
            return plain.map { frequency in
                let turns = context * frequency / (2 * .pi)
                if turns < low { return frequency / factor }
                if turns > high { return frequency }
                let share = (turns - low) / (high - low)
                return (1 - share) * frequency / factor + share * frequency
            }
        case .yarn(let yarn):
            let shares = yarn.shares(headSize: headSize, base: base)
            return plain.indices.map { pair in
                let divided = shares[pair] / yarn.factor
                return plain[pair] * (divided + 1 - shares[pair])
            }
        case .longRope(let rope):
            let factors = isLong ? rope.longFactors : rope.shortFactors
            return zip(plain, factors).map { $0 / $1 }
        }
    }

    /// What sines and cosines are multiplied with: queries times keys grow by its square.
    public var attentionFactor: Double {
        switch scaling {
        case .yarn(let yarn): yarn.attentionFactor
        case .longRope(let rope): rope.attentionFactor
        case .none, .linear, .llama3, .dynamic: 1
        }
    }

    /// The longest sequence whose frequencies are not the long ones; nil where length does not matter.
    // Swift 6.3.1 ends with an ownership error where its optimiser copies this into others.
    @inline(never)
    public var shortLimit: Int? { if case .longRope(let rope) = scaling { rope.originalContext } else { nil } }

    /// Whether a sequence of so many tokens in all rotates by the long frequencies.
    public func isLong(_ tokens: Int) -> Bool { shortLimit.map { tokens > $0 } ?? false }

    /// Whether positions beyond the model's context cannot be had.
    var endsAtContext: Bool { if case .dynamic = scaling { true } else { false } }
}
