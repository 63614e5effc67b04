import CUDAKernels
import GPUCases
import Testing

/// Queries and keys with their biases and norms, rotated, and the cache they go to.
@Suite struct RotationTests {
    private static func check(_ rotation: RotationCase) throws {
        let error = try TestedGPU.run { rotation.largestError(try rotation.result(on: $0)) }
        #expect(error <= 1, "\(rotation)")
    }

    @Test(arguments: [(1, 1, 2), (2, 3, 10), (1, 4, 16), (2, 2, 64), (1, 9, 80), (1, 2, 256)])
    func matchesTheReference(cacheHeads: Int, group: Int, headSize: Int) throws {
        try Self.check(
            RotationCase(geometry: AttentionGeometry(cacheHeads: cacheHeads, group: group, headSize: headSize)))
    }

    /// Sequences of both kinds in one batch, as LongRoPE has them.
    @Test(arguments: [(2, 3, 10), (2, 2, 64)])
    func longSequencesRotateOtherwise(cacheHeads: Int, group: Int, headSize: Int) throws {
        let geometry = AttentionGeometry(cacheHeads: cacheHeads, group: group, headSize: headSize)
        try Self.check(RotationCase(geometry: geometry, hasLongSequences: true))
    }

    /// What families do besides.
    @Test(arguments: [(true, false, true), (false, true, true), (false, false, false), (true, true, false)])
    func biasesAndNormsMatchTheReference(hasBiases: Bool, hasNorms: Bool, rotates: Bool) throws {
        for (cacheHeads, group, headSize) in [(1, 1, 2), (2, 3, 10), (2, 2, 64), (1, 2, 256)] {
            try Self.check(
                RotationCase(
                    geometry: AttentionGeometry(cacheHeads: cacheHeads, group: group, headSize: headSize),
                    hasBiases: hasBiases, hasNorms: hasNorms, rotates: rotates))
        }
    }
}
