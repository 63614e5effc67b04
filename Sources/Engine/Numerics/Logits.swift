/// A view of one token position's logits, `[vocabulary]`, that is read eight at a time.
///
/// Its memory belongs to the caller and must stay as it is while the view is used.
struct Logits {
    /// Logits per block: 256. Whatever needs only the largest logits keeps each block's maximum and skips whole blocks.
    /// It is short enough for skipping to pay (40 candidates lie in at most 40 of SmolLM2's 192 blocks), and long
    /// enough for the bookkeeping to cost little.
    static let blockLength = 256
    static let laneCount = Lanes.scalarCount

    let values: UnsafeBufferPointer<Float>

    var count: Int { values.count }

    static func blockCount(for count: Int) -> Int { (count + blockLength - 1) / blockLength }

    func range(ofBlock block: Int) -> Range<Int> {
        let start = block * Self.blockLength
        return start..<min(start + Self.blockLength, count)
    }

    /// The logits from `index` on; past the end, negative infinity: an impossible token.
    @inline(__always)
    func lanes(at index: Int) -> Lanes {
        if index + Self.laneCount <= count {
            return UnsafeRawPointer(values.baseAddress! + index).loadUnaligned(as: Lanes.self)
        }
        var lanes = Lanes(repeating: -.infinity)
        for lane in 0..<max(count - index, 0) { lanes[lane] = values[index + lane] }
        return lanes
    }

    /// The largest logit in `range`; nil if one of them is NaN.
    func maximum(in range: Range<Int>) -> Float? {
        var maximum = Lanes(repeating: -.infinity)
        // Comparisons with NaN are false, so that the maximum passes over it; only NaN differs from itself.
        var isNumber = SIMDMask<SIMD8<Int32>>(repeating: true)
        var index = range.lowerBound
        while index < range.upperBound {
            let lanes = lanes(at: index)
            maximum.replace(with: lanes, where: lanes .> maximum)
            isNumber .&= lanes .== lanes
            index += Self.laneCount
        }
        return all(isNumber) ? maximum.max() : nil
    }

    /// Why no probabilities follow from these logits. Called once that is known, so it may be slow.
    func error() -> LogitsError {
        if let index = values.firstIndex(where: \.isNaN) { return .notANumber(token: Int32(index)) }
        if let index = values.firstIndex(of: .infinity) { return .infinite(token: Int32(index)) }
        return .nothingPossible
    }
}
