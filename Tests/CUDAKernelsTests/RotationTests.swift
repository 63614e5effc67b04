import CUDA
import CUDAKernels
import GPUCases
import Tensors
import TestSupport
import Testing

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Rotated queries and keys, and the cache they go to.
@Suite struct RotationTests {
    /// Positions around the sides of the table, and far out.
    private static let positions = [0, 1, 255, 256, 257, 511, 70_000]
    private static let blocks = 9

    private static func slot(_ token: Int) -> Int { (token * 37 + 5) % (blocks * AttentionGeometry.blockTokens) }

    /// Head `head` of `[tokens, heads, size]`, turned by the position of its token.
    private static func rotated(
        _ tensor: [Float], token: Int, head: Int, heads: Int, frequencies: [Double]
    ) -> [Double] {
        let half = frequencies.count
        let row = tensor[(token * heads + head) * 2 * half..<(token * heads + head + 1) * 2 * half].map(Double.init)
        var result = row
        for (pair, frequency) in frequencies.enumerated() {
            let angle = Double(positions[token]) * frequency
            result[pair] = row[pair] * cos(angle) - row[half + pair] * sin(angle)
            result[half + pair] = row[half + pair] * cos(angle) + row[pair] * sin(angle)
        }
        return result
    }

    @Test(arguments: [(1, 1, 2), (2, 3, 10), (1, 4, 16), (2, 2, 64), (1, 9, 80), (1, 2, 256)])
    func matchesTheReference(cacheHeads: Int, group: Int, headSize: Int) throws {
        let geometry = AttentionGeometry(cacheHeads: cacheHeads, group: group, headSize: headSize)
        let tokens = Self.positions.count
        let (size, stride, half) = (headSize, geometry.headStride, headSize / 2)
        let frequencies = (0..<half).map { pow(10_000, -2 * Double($0) / Double(headSize)) }
        let queries = Numbers.floats(tokens * geometry.queryHeads * size, in: -4...4, seed: 1)
        let keys = Numbers.floats(tokens * cacheHeads * size, in: -4...4, seed: 2)
        let values = Numbers.floats(tokens * cacheHeads * size, seed: 3)
        let (rotated, cache) = try TestedGPU.run { gpu -> ([UInt16], [UInt16]) in
            let stream = gpu.stream
            let steps = try DecoderSteps(gpu.library, valueType: .f16)
            let table = try RotationTable(frequencies: frequencies, positionCount: 70_001, on: stream)
            var rows: [Float] = []
            for token in 0..<tokens {
                for (tensor, heads) in [(queries, geometry.queryHeads), (keys, cacheHeads), (values, cacheHeads)] {
                    rows += tensor[token * heads * size..<(token + 1) * heads * size]
                }
            }
            let projected = try DeviceBuffer(rows, on: stream)
            let positions = try DeviceBuffer(Self.positions.map(Int32.init), on: stream)
            let slots = try DeviceBuffer((0..<tokens).map { Int32(Self.slot($0)) }, on: stream)
            let rotatedCount = tokens * geometry.queryStride, cacheCount = Self.blocks * geometry.blockBytes / 2
            let rotated = try DeviceBuffer.poisoned(UInt16.self, count: rotatedCount, on: stream)
            let cache = try DeviceBuffer.poisoned(UInt16.self, count: cacheCount, on: stream)
            try steps.enqueueRotation(
                DecoderSteps.Rotation(
                    projected: projected.address, positions: positions.address, slots: slots.address,
                    rotated: rotated.address, cache: cache.address),
                tokens: tokens, geometry: geometry, table: table, on: stream)
            return (
                try rotated.read(UInt16.self, count: rotatedCount, on: stream),
                try cache.read(UInt16.self, count: cacheCount, on: stream)
            )
        }
        var untouched = cache
        var found: [UInt16] = []
        var expected: [Double] = []
        let filling = [Double](repeating: 0, count: stride - size)
        for token in 0..<tokens {
            for head in 0..<geometry.queryHeads {
                let first = (token * geometry.queryHeads + head) * stride
                found += rotated[first..<first + stride]
                expected +=
                    Self.rotated(
                        queries, token: token, head: head, heads: geometry.queryHeads, frequencies: frequencies)
                    + filling
            }
            for head in 0..<cacheHeads {
                for kind in 0..<2 {
                    let (block, place) = Self.slot(token).quotientAndRemainder(
                        dividingBy: AttentionGeometry.blockTokens)
                    let row = ((block * 2 + kind) * cacheHeads + head) * AttentionGeometry.blockTokens + place
                    found += cache[row * stride..<(row + 1) * stride]
                    let value = values[(token * cacheHeads + head) * size..<(token * cacheHeads + head + 1) * size]
                    expected +=
                        (kind == 1
                            ? value.map(Double.init)
                            : Self.rotated(keys, token: token, head: head, heads: cacheHeads, frequencies: frequencies))
                        + filling
                    for element in 0..<stride { untouched[row * stride + element] = 0xFFFF }
                }
            }
        }
        // The rounding to f16, and that of sines and cosines.
        let error = Numbers.largestError(found.map { Numbers.value($0, .f16) }, expected) {
            abs($1) * 0x1p-11 + ($1 == 0 ? 1e-12 : 8 * 0x1p-21)
        }
        #expect(error <= 1)
        #expect(untouched.allSatisfy { $0 == 0xFFFF }, "written elsewhere")
    }
}
