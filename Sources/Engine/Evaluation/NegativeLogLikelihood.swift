#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#else
import Darwin
#endif

/// The negative natural logarithm of the probability that the model gives to `token`, which is the logarithm of the sum
/// of all `e^logit`, less the token's logit.
///
/// The logits are shifted by their maximum, so that nothing overflows. The exponentials have Float32's precision and
/// are added up in Double; the error is below 1e-6.
/// - Parameter logits: `[vocabulary]`, as the model gave them.
/// - Returns: 0 or more; infinity if the token's logit is negative infinity.
/// - Throws: `LogitsError` if a logit is NaN or infinite, or no token is possible.
/// - Precondition: `token` is in the vocabulary.
/// - Complexity: O(vocabulary), without allocation.
public func negativeLogLikelihood(
    of token: Int32, logits: UnsafeBufferPointer<Float>
) throws(LogitsError) -> Double {
    precondition(token >= 0 && Int(token) < logits.count, "token \(token) outside 0..<\(logits.count)")
    let view = Logits(values: logits)
    guard let maximum = view.maximum(in: 0..<logits.count), maximum.isFinite else { throw view.error() }
    var sums = SIMD8<Double>.zero
    var index = 0
    while index < logits.count {
        sums += SIMD8<Double>(exponential(view.lanes(at: index) - maximum))
        index += Logits.laneCount
    }
    // The difference is taken in Double: two large logits must not lose the digits in which they differ.
    return max(log(sums.sum()) + (Double(maximum) - Double(logits[Int(token)])), 0)
}

/// The natural logarithm of the probability that the model itself gives to `token`, before temperature, penalties and
/// filters, as OpenAI's interface reports it. Otherwise as ``negativeLogLikelihood(of:logits:)``.
public func logProbability(of token: Int32, logits: UnsafeBufferPointer<Float>) throws(LogitsError) -> Double {
    0 - (try negativeLogLikelihood(of: token, logits: logits))
}
