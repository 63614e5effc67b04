/// Eight neighbouring logits or weights: two SSE or NEON registers, one AVX register.
typealias Lanes = SIMD8<Float>

/// `e^x` for `x <= 0` in each lane; 0 below -87, where the result would no longer be a normal number.
///
/// The C library's `exp` differs in the last bit from one library and processor to the next, and then a seed would not
/// give the same tokens everywhere. This one is made of IEEE additions and multiplications only, which round the same
/// way on every machine. The relative error is below 2e-7. `exponential(0)` is exactly 1.
///
/// Method: `x = n ln 2 + r` with `|r| <= ln 2 / 2`; `e^r` by its Taylor series up to `r^7 / 7!` (the rest is below
/// 6e-9); times `2^n`, put together from bits. The bound -87 keeps `n >= -126`, the smallest normal exponent.
/// - Precondition: no lane is NaN or positive.
@inline(__always)
func exponential(_ x: Lanes) -> Lanes {
    let isTooSmall = x .< smallestExponent
    let argument = x.replacing(with: smallestExponent, where: isTooSmall)

    // Adding 1.5 * 2^23 rounds to an integer and leaves that integer in the low bits of the sum.
    let rounder: Float = 12_582_912
    let rounded = argument * 1.442_695_04 + rounder
    let n = rounded - rounder
    // ln 2 in two parts. The first has 9 significant bits, so that its product with n is exact.
    let r = (argument - n * 0.693_359_375) + n * 2.121_944_4e-4

    var series = r * (1 / 5040) + (1 / 720)
    series = series * r + (1 / 120)
    series = series * r + (1 / 24)
    series = series * r + (1 / 6)
    series = series * r + 0.5
    series = series * r + 1
    series = series * r + 1

    let roundedBits = unsafeBitCast(rounded, to: SIMD8<UInt32>.self)
    let scaleBits = (roundedBits &- (rounder.bitPattern - 127)) &<< 23
    let result = series * unsafeBitCast(scaleBits, to: Lanes.self)
    return result.replacing(with: 0, where: isTooSmall)
}

/// Below this argument ``exponential(_:)`` is 0.
let smallestExponent: Float = -87
