/// A place in the order of tokens by falling logit, and by rising number among equal logits: everything up to it is
/// kept.
///
/// Every filter that keeps "the most probable ones" is a cut, and a cut is two numbers. So filters need no list of
/// candidates and no sorted vocabulary: they narrow the cut, and the draw walks the logits and skips what lies behind
/// it.
struct Cut: Equatable, Sendable {
    /// The key of the last kept logit.
    var key: UInt32
    /// The last kept token of those with just that logit.
    var lastTie: UInt32

    /// Behind the last token.
    static let everything = Cut(key: 0, lastTie: .max)

    /// Numbers that order like the logits they stand for. Equal logits have equal keys, -0 and 0 too. NaN has no place.
    ///
    /// IEEE numbers order like signed magnitudes: flipping the sign bit of positive and all bits of negative ones makes
    /// them order like unsigned integers.
    @inline(__always)
    static func keys(of logits: Lanes) -> SIMD8<UInt32> {
        let bits = unsafeBitCast(logits + 0, to: SIMD8<Int32>.self)  // -0 + 0 is 0
        return unsafeBitCast(bits ^ ((bits &>> 31) | Int32.min), to: SIMD8<UInt32>.self)
    }

    /// As ``keys(of:)``, for one logit.
    @inline(__always)
    static func key(of logit: Float) -> UInt32 {
        let bits = Int32(bitPattern: (logit + 0).bitPattern)
        return UInt32(bitPattern: bits ^ ((bits >> 31) | Int32.min))
    }

    /// Which of the tokens `index..<index + 8` with these keys are kept.
    @inline(__always)
    func keeps(_ keys: SIMD8<UInt32>, at index: Int) -> SIMDMask<SIMD8<Int32>> {
        let tokens = SIMD8<UInt32>(0, 1, 2, 3, 4, 5, 6, 7) &+ UInt32(truncatingIfNeeded: index)
        // Vectors on both sides: comparing integers with a scalar is not vectorised (Swift 6.3).
        let last = SIMD8<UInt32>(repeating: key)
        return (keys .> last) .| ((keys .== last) .& (tokens .<= SIMD8<UInt32>(repeating: lastTie)))
    }
}
