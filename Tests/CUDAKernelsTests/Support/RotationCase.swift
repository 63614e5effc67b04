import CUDA
import CUDAKernels
import GPUCases
import Tensors
import TestSupport

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Random queries, keys and values on their way to attention, and what should become of them.
struct RotationCase {
    let geometry: AttentionGeometry
    var hasBiases = false
    var hasNorms = false
    var rotates = true
    /// Every other token is of a long sequence, which rotates otherwise.
    var hasLongSequences = false

    /// Positions around the sides of the table, and far out.
    private static let positions = [0, 1, 255, 256, 257, 511, 70_000]
    private static let blocks = 9
    private static let epsilon: Float = 1e-5

    private var size: Int { geometry.headSize }
    /// Of queries, keys and values.
    private var heads: Int { geometry.queryHeads + 2 * geometry.cacheHeads }
    private var frequencies: [Double] { (0..<size / 2).map { pow(10_000, -2 * Double($0) / Double(size)) } }
    private var longFrequencies: [Double] { frequencies.enumerated().map { $1 / (1.5 + Double($0)) } }
    private func isLong(_ token: Int) -> Bool { hasLongSequences && token % 2 == 1 }
    /// `[tokens, heads, size]`
    private var projected: [Float] { Numbers.floats(Self.positions.count * heads * size, in: -4...4, seed: 1) }
    /// `[heads, size]`
    private var biases: [Float] { Numbers.floats(heads * size, seed: 4) }
    private var queryNorm: [Float] { Numbers.floats(size, seed: 5) }
    private var keyNorm: [Float] { Numbers.floats(size, seed: 6) }

    /// Where the heads of a token are in the result, in 16-bit elements.
    struct Result {
        /// `[tokens, queryHeads, headStride]`
        let rotated: [UInt16]
        /// `[blocks, 2, cacheHeads, 16, headStride]`
        let cache: [UInt16]
    }

    func result(on gpu: TestedGPU) throws -> Result {
        let stream = gpu.stream
        let steps = try DecoderSteps(gpu.library, valueType: .f16)
        let table = try RotationTable(
            frequencies: frequencies, long: hasLongSequences ? longFrequencies : nil, positionCount: 70_001, on: stream)
        let projected = try DeviceBuffer(projected, on: stream)
        let positions = try DeviceBuffer(
            Self.positions.enumerated().map { Int32($1) + (isLong($0) ? RotationTable.longSequence : 0) }, on: stream)
        let slots = try DeviceBuffer(Self.positions.indices.map { Int32(Self.slot($0)) }, on: stream)
        let rotatedCount = Self.positions.count * geometry.queryStride
        let cacheCount = Self.blocks * geometry.blockBytes / 2
        let rotated = try DeviceBuffer.poisoned(UInt16.self, count: rotatedCount, on: stream)
        let cache = try DeviceBuffer.poisoned(UInt16.self, count: cacheCount, on: stream)
        let vectors = try [biases, queryNorm, keyNorm].map { try DeviceBuffer($0, on: stream) }
        var operands = DecoderSteps.Rotation(
            projected: projected.address, positions: positions.address, slots: slots.address, rotated: rotated.address,
            cache: cache.address)
        if hasBiases { operands.bias = vectors[0].address }
        if hasNorms {
            operands.queryNorm = vectors[1].address
            operands.keyNorm = vectors[2].address
            operands.epsilon = Self.epsilon
        }
        try steps.enqueueRotation(
            operands, tokens: Self.positions.count, geometry: geometry, table: rotates ? table : nil, on: stream)
        // What kernels read must live until they are done.
        try withExtendedLifetime(vectors) { try stream.synchronize() }
        return Result(
            rotated: try rotated.read(UInt16.self, count: rotatedCount, on: stream),
            cache: try cache.read(UInt16.self, count: cacheCount, on: stream))
    }

    private static func slot(_ token: Int) -> Int { (token * 37 + 5) % (blocks * AttentionGeometry.blockTokens) }

    /// The largest error in units of what is allowed; infinite if something was written elsewhere.
    func largestError(_ result: Result) -> Double {
        let stride = geometry.headStride
        var untouched = result.cache
        var found: [UInt16] = []
        var expected: [Double] = []
        for token in Self.positions.indices {
            for head in 0..<heads {
                expected += self.expected(token: token, head: head) + [Double](repeating: 0, count: stride - size)
                if head < geometry.queryHeads {
                    let first = (token * geometry.queryHeads + head) * stride
                    found += result.rotated[first..<first + stride]
                    continue
                }
                let (kind, cacheHead) = (head - geometry.queryHeads).quotientAndRemainder(
                    dividingBy: geometry.cacheHeads)
                let (block, place) = Self.slot(token).quotientAndRemainder(dividingBy: AttentionGeometry.blockTokens)
                let row =
                    ((block * 2 + kind) * geometry.cacheHeads + cacheHead) * AttentionGeometry.blockTokens + place
                found += result.cache[row * stride..<(row + 1) * stride]
                for element in 0..<stride { untouched[row * stride + element] = 0xFFFF }
            }
        }
        guard untouched.allSatisfy({ $0 == 0xFFFF }) else { return .infinity }
        // The rounding to f16, and that of sines and cosines.
        return Numbers.largestError(found.map { Numbers.value($0, .f16) }, expected) {
            abs($1) * 0x1p-11 + ($1 == 0 ? 1e-12 : 8 * 0x1p-21)
        }
    }

    /// One head of a token, counted through queries, keys and values.
    private func expected(token: Int, head: Int) -> [Double] {
        let first = (token * heads + head) * size
        var row = projected[first..<first + size].map(Double.init)
        if hasBiases { row = zip(row, biases[(head * size)...]).map { $0 + Double($1) } }
        let isValue = head >= geometry.queryHeads + geometry.cacheHeads
        if hasNorms && !isValue {
            let square = row.reduce(0) { $0 + $1 * $1 } / Double(size)
            let factor = 1 / (square + Double(Self.epsilon)).squareRoot()
            row = zip(row, head < geometry.queryHeads ? queryNorm : keyNorm).map { $0 * factor * Double($1) }
        }
        guard rotates && !isValue else { return row }
        var turned = row
        let half = size / 2
        for (pair, frequency) in (isLong(token) ? longFrequencies : frequencies).enumerated() {
            let angle = Double(Self.positions[token]) * frequency
            turned[pair] = row[pair] * cos(angle) - row[half + pair] * sin(angle)
            turned[half + pair] = row[half + pair] * cos(angle) + row[pair] * sin(angle)
        }
        return turned
    }
}
