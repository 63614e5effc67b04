/// What the tokens' probabilities are proportional to: `e^((logit - maximum) / temperature)`, 1 for the most probable.
///
/// Nothing is stored per token: a weight is computed from its logit whenever it is needed, which costs less than
/// writing all of them to memory and reading the few that matter.
struct Weights {
    let logits: Logits
    /// The largest logit.
    let maximum: Float
    /// Largest logit of each block, `[Logits.blockCount(for: logits.count)]`.
    let blockMaxima: UnsafeBufferPointer<Float>
    let temperature: Float

    /// The weights of eight logits. Never NaN: a difference of 0 or negative infinity stays what it is when divided.
    @inline(__always)
    func weights(of logits: Lanes) -> Lanes {
        exponential((logits - maximum) / temperature)
    }

    /// Whether every weight in a block is 0.
    @inline(__always)
    private func isNegligible(_ block: Int) -> Bool {
        (blockMaxima[block] - maximum) / temperature < smallestExponent
    }

    /// Calls `body` with each eight logits and the number of their first token, in blocks of which some token has a
    /// positive weight and a key of at least `key`. The last eight may reach past the vocabulary; those are negative
    /// infinity.
    @inline(__always)
    func forEachLanes(notBelow key: UInt32, _ body: (Int, Lanes) -> Void) {
        for block in blockMaxima.indices { forEachLanes(inBlock: block, notBelow: key, body) }
    }

    /// As ``forEachLanes(notBelow:_:)``, for one block.
    @inline(__always)
    func forEachLanes(inBlock block: Int, notBelow key: UInt32, _ body: (Int, Lanes) -> Void) {
        if Cut.key(of: blockMaxima[block]) < key || isNegligible(block) { return }
        let range = logits.range(ofBlock: block)
        var index = range.lowerBound
        while index < range.upperBound {
            body(index, logits.lanes(at: index))
            index += Logits.laneCount
        }
    }
}
