/// Random numbers by their place in a stream: a hash of a counter, so that nobody waits for the ones before.
///
/// Integer arithmetic only, so that a seed gives the same numbers on every machine.
/// SplitMix64. Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
public struct SplitMixStream: Sendable {
    @usableFromInline let seed: UInt64

    @inlinable
    public init(seed: UInt64) { self.seed = seed }

    /// The number at a place.
    @inlinable
    public subscript(_ index: UInt64) -> UInt64 {
        var mixed = seed &+ (index &+ 1) &* 0x9E37_79B9_7F4A_7C15
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
