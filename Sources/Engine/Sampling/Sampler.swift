/// Chooses the tokens of one sequence from the model's logits, as its ``SamplingParameters`` say.
///
/// The same logits, parameters, prompt and seed give the same tokens on every machine: the generator is xoshiro256++,
/// each token that is not chosen greedily takes exactly one number from it, and weights are computed and added in a
/// fixed order with a fixed rounding.
///
/// Sampling allocates nothing. A sampler takes about 18 KiB, and 9 bytes more per token of the vocabulary if there are
/// penalties, so that a server can have one for each sequence.
public struct Sampler: Sendable {
    public let parameters: SamplingParameters
    /// Tokens that the model knows; the length of its logits.
    public let vocabularySize: Int
    /// Where the generator started: the seed of the parameters, or the one taken from the system in its place.
    public let seed: UInt64

    let temperature: Float
    private var random: Xoshiro256
    private var selector = CutSelector()
    var penalties: Penalties?
    /// Largest logit of each block, `[Logits.blockCount(for: vocabularySize)]`; overwritten for each token.
    var blockMaxima: [Float]
    /// Sum of the weights that are left in each block, of the same shape; overwritten for each token.
    private var blockSums: [Double]

    /// - Precondition: `0 < vocabularySize <= Int32.max`.
    public init(parameters: SamplingParameters, vocabularySize: Int) {
        precondition(vocabularySize > 0 && vocabularySize <= Int(Int32.max), "a vocabulary of \(vocabularySize) tokens")
        self.parameters = parameters
        self.vocabularySize = vocabularySize
        seed = parameters.seed ?? UInt64.random(in: .min ... .max)
        random = Xoshiro256(seed: seed)
        // A temperature that Float cannot tell from 0 or infinity would make 0 / 0 or infinity / infinity of the
        // logits.
        temperature = min(max(Float(parameters.temperature), .leastNormalMagnitude), .greatestFiniteMagnitude)
        penalties =
            parameters.hasPenalties ? Penalties(parameters: parameters, vocabularySize: vocabularySize) : nil
        let blockCount = Logits.blockCount(for: vocabularySize)
        blockMaxima = Array(repeating: 0, count: blockCount)
        blockSums = Array(repeating: 0, count: blockCount)
    }

    /// Tells the sampler the prompt, for which the repetition penalty counts too.
    /// - Precondition: every token is in the vocabulary.
    public mutating func observe(prompt tokens: some Sequence<Int32>) {
        guard penalties != nil else { return }
        for token in tokens { penalties?.record(prompt: token) }
    }

    /// Chooses the next token, and counts it for the penalties.
    ///
    /// Greedily, that is the token with the largest logit; of several, the one with the lowest number.
    /// - Parameter logits: `[vocabulary]`, the model's output at the last position; negative infinity where a token is
    ///   not allowed.
    /// - Throws: `LogitsError` if a logit is NaN or infinite, or no token is possible. The sampler is then unchanged.
    /// - Precondition: there is one logit per token of the vocabulary.
    /// - Complexity: O(vocabulary), without allocation.
    public mutating func sample(logits: UnsafeBufferPointer<Float>) throws(LogitsError) -> Int32 {
        precondition(logits.count == vocabularySize, "\(logits.count) logits for \(vocabularySize) tokens")
        guard penalties != nil else { return try choose(Logits(values: logits)) }
        penalties!.adjust(logits)
        let adjusted = penalties!.adjusted
        let token = try adjusted.withUnsafeBufferPointer { (adjusted) throws(LogitsError) in
            try choose(Logits(values: adjusted))
        }
        penalties!.record(generated: token)
        return token
    }

    private mutating func choose(_ logits: Logits) throws(LogitsError) -> Int32 {
        let maximum = try scan(logits)
        if parameters.isGreedy { return firstToken(with: maximum, in: logits) }
        // The numbers of `self` that the draw overwrites are not those that `weights` points to.
        let maxima = blockMaxima
        return maxima.withUnsafeBufferPointer { maxima in
            let weights = Weights(logits: logits, maximum: maximum, blockMaxima: maxima, temperature: temperature)
            return draw(from: weights, cut: filter(weights))
        }
    }

    /// Fills ``blockMaxima`` and returns the largest logit.
    mutating func scan(_ logits: Logits) throws(LogitsError) -> Float {
        var maximum = -Float.infinity
        for block in blockMaxima.indices {
            guard let blockMaximum = logits.maximum(in: logits.range(ofBlock: block)) else { throw logits.error() }
            blockMaxima[block] = blockMaximum
            maximum = max(maximum, blockMaximum)
        }
        guard maximum.isFinite else { throw logits.error() }
        return maximum
    }

    func firstToken(with maximum: Float, in logits: Logits) -> Int32 {
        guard let block = blockMaxima.firstIndex(of: maximum),
            let token = logits.range(ofBlock: block).first(where: { logits.values[$0] == maximum })
        else { preconditionFailure("the largest logit \(maximum) is not among the logits") }
        return Int32(token)
    }

    /// What top-k and then top-p keep.
    mutating func filter(_ weights: Weights) -> Cut {
        var cut = Cut.everything
        if parameters.topK > 0 && parameters.topK < vocabularySize {
            cut = selector.narrow(cut, to: .count(parameters.topK), of: weights)
        }
        if parameters.topP < 1 {
            cut = selector.narrow(cut, to: .share(parameters.topP), of: weights)
        }
        return cut
    }

    /// Draws a token with a probability proportional to its weight.
    ///
    /// A number between 0 and the sum of all weights is looked up in the running sum of the weights by token number:
    /// first block by block, then token by token inside one block.
    private mutating func draw(from weights: Weights, cut: Cut) -> Int32 {
        var total = 0.0
        for block in blockSums.indices {
            var sums = SIMD8<Double>.zero
            weights.forEachLanes(inBlock: block, notBelow: cut.key) { index, logits in
                sums += SIMD8<Double>(keptWeights(logits, at: index, weights, cut))
            }
            blockSums[block] = sums.sum()
            total += blockSums[block]
        }
        let wanted = random.uniform() * total
        var sum = 0.0
        var chosenBlock = 0
        for block in blockSums.indices where blockSums[block] > 0 {
            chosenBlock = block
            if sum + blockSums[block] > wanted { break }
            sum += blockSums[block]
        }
        // Sums of sums can differ by a rounding from sums of weights: then the last possible token it is.
        var chosen = -1
        weights.forEachLanes(inBlock: chosenBlock, notBelow: cut.key) { index, logits in
            guard chosen < 0 || sum <= wanted else { return }
            let kept = keptWeights(logits, at: index, weights, cut)
            for lane in 0..<Logits.laneCount where kept[lane] > 0 && (chosen < 0 || sum <= wanted) {
                chosen = index + lane
                sum += Double(kept[lane])
            }
        }
        precondition(chosen >= 0 && chosen < vocabularySize, "no token was drawn")
        return Int32(chosen)
    }

    /// The weights of tokens before the cut and not below min-p's share; 0 for all others.
    @inline(__always)
    func keptWeights(_ logits: Lanes, at index: Int, _ weights: Weights, _ cut: Cut) -> Lanes {
        let all = weights.weights(of: logits)
        let isKept = cut.keeps(Cut.keys(of: logits), at: index) .& (all .>= Float(parameters.minP))
        return Lanes.zero.replacing(with: all, where: isKept)
    }
}
