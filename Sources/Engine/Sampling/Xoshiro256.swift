import Tensors

/// The generator xoshiro256++, its state filled from a seed by SplitMix64.
///
/// Integer arithmetic only, so that a seed gives the same numbers on every machine.
/// Source: Blackman, Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47, 2021; the seeding is the
/// one that its authors recommend.
struct Xoshiro256: RandomNumberGenerator, Sendable {
    private var state: (UInt64, UInt64, UInt64, UInt64)

    init(seed: UInt64) {
        let numbers = SplitMixStream(seed: seed)
        state = (numbers[0], numbers[1], numbers[2], numbers[3])
    }

    /// - Precondition: the state is not all zero.
    init(state: (UInt64, UInt64, UInt64, UInt64)) {
        precondition(state != (0, 0, 0, 0), "xoshiro256++ never leaves the state 0")
        self.state = state
    }

    mutating func next() -> UInt64 {
        func rotated(_ value: UInt64, by count: UInt64) -> UInt64 { (value << count) | (value >> (64 - count)) }
        let result = rotated(state.0 &+ state.3, by: 23) &+ state.0
        let shifted = state.1 << 17
        state.2 ^= state.0
        state.3 ^= state.1
        state.1 ^= state.2
        state.0 ^= state.3
        state.2 ^= shifted
        state.3 = rotated(state.3, by: 45)
        return result
    }

    /// A number in `0..<1`, a multiple of 2^-53.
    mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
