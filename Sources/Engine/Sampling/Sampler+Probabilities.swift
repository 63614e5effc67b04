extension Sampler {
    /// The probabilities with which ``sample(logits:)`` would choose each token now, `[vocabulary]`; greedily, a single
    /// 1.
    ///
    /// Shows what penalties and filters do. Takes no number from the generator, and allocates.
    /// - Throws: `LogitsError` as ``sample(logits:)`` does.
    public func probabilities(logits: UnsafeBufferPointer<Float>) throws(LogitsError) -> [Double] {
        precondition(logits.count == vocabularySize, "\(logits.count) logits for \(vocabularySize) tokens")
        var copy = self
        guard copy.penalties != nil else { return try copy.probabilities(ofAdjusted: Logits(values: logits)) }
        copy.penalties!.adjust(logits)
        let adjusted = copy.penalties!.adjusted
        return try adjusted.withUnsafeBufferPointer { (adjusted) throws(LogitsError) in
            try copy.probabilities(ofAdjusted: Logits(values: adjusted))
        }
    }

    private mutating func probabilities(ofAdjusted logits: Logits) throws(LogitsError) -> [Double] {
        var probabilities = [Double](repeating: 0, count: vocabularySize)
        let maximum = try scan(logits)
        if parameters.isGreedy {
            probabilities[Int(firstToken(with: maximum, in: logits))] = 1
            return probabilities
        }
        let maxima = blockMaxima
        maxima.withUnsafeBufferPointer { maxima in
            let weights = Weights(logits: logits, maximum: maximum, blockMaxima: maxima, temperature: temperature)
            let cut = filter(weights)
            weights.forEachLanes(notBelow: cut.key) { index, logits in
                let kept = keptWeights(logits, at: index, weights, cut)
                for lane in 0..<Logits.laneCount where kept[lane] > 0 {
                    probabilities[index + lane] = Double(kept[lane])
                }
            }
        }
        let total = probabilities.reduce(0, +)
        return probabilities.map { $0 / total }
    }
}
