/// Sines and cosines of positions, by one model's frequencies.
public struct Rotation: Sendable {
    private let frequencies: [Double]
    /// Of sequences of more tokens than the limit; nil where length does not matter.
    private let long: (frequencies: [Double], limit: Int)?
    /// What sines and cosines are multiplied with.
    private let factor: Double

    /// - Parameter factors: as in ``RotaryParameters/frequencies(headSize:factors:isLong:)``.
    // As for `RotaryParameters.shortLimit`.
    @inline(never)
    public init(_ parameters: RotaryParameters, headSize: Int, factors: [Float]? = nil) {
        frequencies = parameters.frequencies(headSize: headSize, factors: factors)
        long = parameters.shortLimit.map { limit in
            (parameters.frequencies(headSize: headSize, factors: factors, isLong: true), limit)
        }
        factor = parameters.attentionFactor
    }

    /// Writes the cosine and the sine of each pair of elements, `headSize / 2` of both.
    /// - Parameter length: tokens of the whole sequence.
    public func turn(
        position: Int, ofSequence length: Int, cosines: UnsafeMutablePointer<Float>, sines: UnsafeMutablePointer<Float>
    ) {
        if let long, length > long.limit {
            turn(position, by: long.frequencies, cosines, sines)
        } else {
            turn(position, by: frequencies, cosines, sines)
        }
    }

    private func turn(
        _ position: Int, by frequencies: [Double], _ cosines: UnsafeMutablePointer<Float>,
        _ sines: UnsafeMutablePointer<Float>
    ) {
        for pair in frequencies.indices {
            // In double precision: at position 100,000 a float32 angle is off by a hundredth of a turn.
            let angle = Double(position) * frequencies[pair]
            cosines[pair] = Float(cosine(angle) * factor)
            sines[pair] = Float(sine(angle) * factor)
        }
    }
}
